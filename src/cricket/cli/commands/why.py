"""Show what operations the daemon is doing, which stage each is in, and where the time went.

Without an id: all that run now. With one: those that concern it, also the last ones that have ended.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterator
from typing import Any

from cricket._proto.cricket import side_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import Styled, print_line
from cricket.cli.words import moment, short, took
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, NotFound

EXAMPLES = """\
  cricket why                what is running, and where it is stuck
  cricket why web            what was done for the pod or container web
  cricket why -a             also what has ended
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("id", nargs="?", default="", help="an id, prefix, name or reference")
    parser.add_argument("-a", "--all", action="store_true", help="also operations that have ended")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = _about(client, args.id) if args.id else client.call("Why", finished=args.all)
    if print_document(args.output, answer, items="operations"):
        return 0
    if not answer.operations:
        print("nothing is running" if not args.id else "nothing is known of it: it was quick, or is long ago")
    else:
        for operation in answer.operations:
            _print(operation)
    return 0


def _about(client: Client, word: str) -> Any:
    """What concerns the word itself (an id, a reference), and the container and the pod that have it as their name."""
    found: dict[tuple[int, str], Any] = {}
    for each in (word, *_ids_of(client, word)):
        for operation in client.call("Why", id=each, finished=True).operations:
            found[operation.started_at, operation.method] = operation
    return side_pb2.WhyResponse(operations=[found[key] for key in sorted(found)])


def _ids_of(client: Client, name: str) -> Iterator[str]:
    """Operations know ids rather than names."""
    for look in (find.container, find.sandbox):
        with contextlib.suppress(NotFound, FailedPrecondition):  # none of this name, or several
            yield str(look(client, name).id)


def _print(operation: Any) -> None:
    if operation.running:
        outcome = Styled(f"running for {took(operation.took)}", "yellow")
    elif operation.outcome == "ok":
        outcome = Styled(f"took {took(operation.took)}", "green")
    else:
        outcome = Styled(f"failed after {took(operation.took)}: {operation.outcome}", "red")
    print_line(operation.method, *map(_shorter, operation.ids), f"since {moment(operation.started_at)}", outcome)
    for stage in operation.stages:
        words = Styled(f"{took(stage.took):>7} and counting", "yellow") if stage.running else f"{took(stage.took):>7}"
        print_line(
            f"  {'+' + took(stage.began):>9}  {'  ' * stage.depth}{stage.name:<28}", words, _shorter(stage.subject)
        )


def _shorter(word: str) -> str:
    """Ids are cut; names and references stay whole."""
    return short(word) if re.fullmatch(r"(sha256:)?[0-9a-f]{64}", word) else word
