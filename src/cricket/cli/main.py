"""The entry point: finds the command, imports its module, runs it, and turns errors into exit codes.

Nothing here may import what only some commands need: `cricket --help` is to answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence

from cricket import __version__
from cricket.cli import index
from cricket.cli.errors import BROKEN_PIPE, INTERRUPTED, OK, UsageError, complain
from cricket.cli.options import ENDPOINT_DEFAULT, Parser, add_client
from cricket.errors import CricketError, ResourceExhausted

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What writing to standard output fails with when nobody is to blame but its disk or device."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: of the process) asks for; returns the exit code."""
    _open_closed_streams()
    try:
        return _finished(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; what is still buffered has no reader either.
        _give_up_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        _give_up_output()
        failure = ResourceExhausted("the output cannot be written")
        failure.__cause__ = error
        return complain(failure)
    except KeyboardInterrupt:
        return INTERRUPTED


def _finished(argv: Sequence[str]) -> int:
    """Run a command until all of its output is out."""
    try:
        status = _run(argv)
    except CricketError as error:
        return complain(error)
    except SystemExit as asked:  # argparse after --help
        status = asked.code if isinstance(asked.code, int) else OK
    sys.stdout.flush()
    return status


def _open_closed_streams() -> None:
    """Where the caller has closed standard input, output or error, /dev/null takes its place: else the next file or
    socket to be opened would get its number, and be read and written as if it were the user's."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:  # the lowest number that is free is its own
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), "w" if flags else "r"))


def _give_up_output() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str]) -> int:
    if argv[:1] == ["__complete"]:  # asked by shells at each key, so not one of the commands
        from cricket.cli.completion import answer

        return answer.main(argv[1:])
    leading, words = _split(argv)
    parser = Parser("cricket", "", "")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    add_client(parser)
    args = parser.parse_args(leading)
    asks = args.help or words[:1] == ["help"]
    words = words[1:] if words[:1] == ["help"] else words
    if args.version:
        print(f"cricket {__version__}")
        return OK
    if not words:
        print(_overview(), end="", file=sys.stdout if asks else sys.stderr)
        if asks:
            return OK
        raise UsageError("a command is missing", todo="choose one of these")
    entry, rest = index.find(words)
    if entry is None:
        return _no_command(words, asks)
    return _command(entry, ["--help"] if asks else rest, args)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options before the command, and the command with what follows."""
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in ("-r", "--runtime-endpoint", "--timeout") else 1
    return list(argv[:at]), list(argv[at:])


def _command(entry: index.Entry, rest: Sequence[str], args: argparse.Namespace) -> int:
    module = importlib.import_module(entry.module)
    description = (module.__doc__ or entry.summary).strip()
    parser = Parser(f"cricket {entry.name}", description, module.EXAMPLES)
    module.configure(parser)
    status: int = module.run(parser.parse_args(rest, namespace=args))
    return status


def _no_command(words: Sequence[str], asks: bool) -> int:
    """A word that is no command, or the first of two words."""
    name = words[0]
    family = index.below(name)
    asks = asks or words[1:] in (["-h"], ["--help"])
    if family and (asks or not words[1:]):
        print(_family(name, family), end="", file=sys.stdout if asks else sys.stderr)
        if asks:
            return OK
        raise UsageError("a command is missing", where=f"cricket {name}", todo="choose one of these")
    import difflib

    said = " ".join(words[:2]) if family else name
    near = difflib.get_close_matches(said, [entry.name for entry in index.entries()], n=1)
    todo = f"did you mean `cricket {near[0]}`?" if near else "see `cricket --help`"
    raise UsageError(f"there is no command {said!r}", todo=todo)


def _family(name: str, family: Sequence[index.Entry]) -> str:
    lines = [f"usage: cricket {name} COMMAND ...", ""]
    lines += [f"  {entry.name.partition(' ')[2]:<14}{entry.summary}" for entry in family]
    return "\n".join(lines) + "\n"


def _overview() -> str:
    lines = [
        "usage: cricket [-r URL] [--timeout SECONDS] [-v] COMMAND ...",
        "",
        "Cricket, a Kubernetes container runtime, and a client for any runtime that speaks CRI.",
    ]
    for title, group in index.GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<19}{summary}" for name, summary in group.items()]
    lines += [
        "",
        "Options:",
        "  -r, --runtime-endpoint URL  the CRI socket",
        f"                              (default: {ENDPOINT_DEFAULT})",
        "  --timeout SECONDS           limit of each call (default: 30s for questions, none for work)",
        "  -v, --verbose               say which runtime is asked",
        "  --version                   print the version",
        "",
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 the daemon cannot be reached.",
        "`cricket COMMAND --help` explains a command, with examples.",
    ]
    return "\n".join(lines) + "\n"
