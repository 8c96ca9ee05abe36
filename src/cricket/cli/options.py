"""Parsers of the commands, and the options that several of them share."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from cricket.cli.errors import UsageError

if TYPE_CHECKING:
    from cricket.client.discover import Choice

ENDPOINT_VARIABLE = "CONTAINER_RUNTIME_ENDPOINT"
ENDPOINT_DEFAULT = f"${ENDPOINT_VARIABLE}, /etc/crictl.yaml, the socket that answers"


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others, and whose help ends with examples."""

    def __init__(self, prog: str, description: str, examples: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"examples:\n{examples}".rstrip() if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=prog != "cricket",
        )

    def format_help(self) -> str:
        """argparse's text, the paragraphs of the description filled to the terminal."""
        import shutil
        import textwrap

        width = min(100, shutil.get_terminal_size().columns) - 2
        said, paragraphs = self.description, (self.description or "").split("\n\n")
        self.description = "\n\n".join(textwrap.fill(paragraph, width) for paragraph in paragraphs)
        try:
            return super().format_help()
        finally:
            self.description = said

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise UsageError(message, todo=f"see `{self.prog} --help`")


def add_client(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that talk to the runtime; they may stand before or after the command's name."""
    group = parser.add_argument_group("runtime")
    group.add_argument(
        "-r",
        "--runtime-endpoint",
        metavar="URL",
        default=argparse.SUPPRESS,
        help=f"the CRI socket (default: {ENDPOINT_DEFAULT})",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help="limit of each call, like 10 or 2m (default: 30s for questions, none for work)",
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say which runtime is asked"
    )


def add_output(parser: argparse.ArgumentParser, *, wide: bool = False, name: bool = False) -> None:
    """-o, for `forms.print_document`: what the command draws for people, or a document for programs.

    `wide`: the command knows more columns; `name`: it lists objects that have names.
    """
    from cricket.cli.forms import form

    words = ["table", *(["wide"] if wide else []), *(["name"] if name else []), "json", "yaml", "jsonpath=EXPR"]
    parser.add_argument(
        "-o",
        "--output",
        type=form(wide, name),
        default="table",
        metavar="FORM",
        help=f"form of the output: {', '.join(words[:-1])} or {words[-1]} (default: table)",
    )


def add_table(parser: argparse.ArgumentParser) -> None:
    """--no-trunc, --no-headers and --sort-by, of commands that list."""
    parser.add_argument("--no-trunc", action="store_true", help="print ids in full")
    parser.add_argument("--no-headers", action="store_true", help="print tables without their header")
    parser.add_argument("--sort-by", type=field, metavar="PATH", help="sort by a field of -o json, like .metadata.name")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """-q: ids only."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print ids only")


def add_labels(parser: argparse.ArgumentParser) -> None:
    """--label, to choose by labels."""
    parser.add_argument("--label", action="append", default=[], type=pair, metavar="KEY=VALUE", help="with this label")


def add_creds(parser: argparse.ArgumentParser) -> None:
    """--creds and --auth, of commands that pull."""
    parser.add_argument("--creds", metavar="USER:PASSWORD", help="credentials of the registry ($CRICKET_CREDS)")
    parser.add_argument("--auth", metavar="BASE64", help="the same, as Docker's config.json has it")


def add_handler(parser: argparse.ArgumentParser) -> None:
    """--runtime, of commands that make sandboxes."""
    parser.add_argument("--runtime", default="", metavar="HANDLER", help="runtime handler (default: the runtime's)")


def add_transport(parser: argparse.ArgumentParser) -> None:
    """How the streaming server is spoken to."""
    group = parser.add_argument_group("streaming")
    group.add_argument("--transport", choices=("spdy", "websocket"), default="spdy", help="protocol (default: spdy)")
    group.add_argument("--tls-ca", metavar="FILE", help="PEM certificates to trust when the server speaks TLS")
    group.add_argument("--tls-insecure", action="store_true", help="accept any certificate of the server")


def endpoint(args: argparse.Namespace) -> str:
    """The endpoint in force; with -v it is told. Raises EndpointError and UnreachableError as `discover` does."""
    chosen = endpoint_choice(args)
    if getattr(args, "verbose", False):
        print(f"cricket: asking {chosen.url} ({chosen.why})", file=sys.stderr)
    return chosen.url


def endpoint_choice(args: argparse.Namespace) -> Choice:
    """The endpoint in force, and why: the option, the environment, crictl's file, the socket that answers."""
    from cricket.client.discover import configured, discover

    return configured(getattr(args, "runtime_endpoint", None), os.environ) or discover()


def seconds(text: str) -> float:
    """A time span: `90`, `1.5s`, `250ms`, `2m`, `1h30m`, `3d`. Raises argparse's error."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is no time span like 90, 1.5s or 2m")
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(number) * units[unit] for number, unit in parts)


def instant(text: str) -> int:
    """A moment in Unix nanoseconds: so long ago (`10m`), RFC 3339, or the same without a zone, which is local time.
    A number without a unit is seconds ago, or since 1970 if it is that big. Raises argparse's error."""
    import time

    try:
        span = seconds(text)
    except argparse.ArgumentTypeError:
        return _date(text)
    return int(span * 1e9) if span >= 1e9 and text[-1].isdigit() else time.time_ns() - int(span * 1e9)


def _date(text: str) -> int:
    from datetime import datetime

    from cricket.errors import InvalidArgument
    from cricket.wire.logline import parse_time

    try:
        return parse_time(text.encode())
    except InvalidArgument:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError) as error:
        todo = "write it like 10m, 2026-01-02T15:04:05Z or 2026-01-02T15:04:05 (local time)"
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time span nor a time: {todo}") from error


def pair(text: str) -> tuple[str, str]:
    """`KEY=VALUE`. Raises argparse's error."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def field(text: str) -> str:
    """One path of JSONPath, like `.metadata.name`. Raises argparse's error."""
    from cricket.cli.jsonpath_parse import JsonPathError, parse_path

    try:
        parse_path(text)
    except JsonPathError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def count(text: str) -> int:
    """A number of things; 0 or more. Raises argparse's error."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def quantity(text: str) -> int:
    """Bytes: `1048576`, `64M` or `64Mi` (both 2**20, as memory goes); -1: no limit. Raises argparse's error."""
    match = re.fullmatch(r"(-1|\d+(?:\.\d+)?)(?:([KMGT])i?)?B?", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 64M or 2G")
    return int(float(match.group(1)) * 1024 ** " KMGT".index((match.group(2) or " ").upper()))


def add_period(parser: argparse.ArgumentParser) -> None:
    """--since and --until, in Unix nanoseconds; 0 for neither."""
    how = "10m ago, or a time like 2026-01-02T15:04:05Z"
    parser.add_argument(
        "--since", type=instant, default=0, metavar="TIME", help=f"only what is younger than this: {how}"
    )
    parser.add_argument("--until", type=instant, default=0, metavar="TIME", help="only what is not younger than this")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """--interval and --watch, of commands that measure."""
    parser.add_argument(
        "--interval", type=seconds, default=1.0, metavar="SPAN", help="time to measure CPU over (default: 1s)"
    )
    parser.add_argument("-w", "--watch", action="store_true", help="measure again and again until interrupted")
