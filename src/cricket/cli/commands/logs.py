"""Show what containers have written: of one as it was written, of several merged by time, each line with its name.

A name is a container's, else a pod's, which means all of its containers. Files that were rotated are shown, too.
With -f it goes on until the containers have ended, and for whole pods until these are no longer ready: containers that
start anew are followed. Of several, what went to standard error is shown on standard output, in its place.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.errors import UsageError
from cricket.cli.logsources import Source, Sources
from cricket.cli.logview import wanted
from cricket.client import logfile
from cricket.client.connection import Client
from cricket.errors import CricketError
from cricket.wire.logline import LogLine, format_time

EXAMPLES = """\
  cricket logs web
  cricket logs -f --tail 20 web db       the last 20 lines of both and what comes
  cricket logs -f --pod shop             all containers of a pod
  cricket logs --since 10m -t web        with timestamps
  cricket logs -p web                    what the attempt before has written
"""
_ASK_EVERY = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", nargs="*", metavar="CONTAINER|POD", help="id or name; with -c a pod's")
    parser.add_argument("--pod", action="append", default=[], metavar="POD", help="all containers of this pod")
    parser.add_argument("-c", "--container", action="append", default=[], metavar="NAME", help="only these of the pods")
    options.add_labels(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written")
    parser.add_argument("-n", "--tail", type=_tail, metavar="N", help="only the last N lines of each")
    options.add_period(parser)
    parser.add_argument("--since-time", dest="since", type=options.instant, help=argparse.SUPPRESS)
    parser.add_argument("-p", "--previous", action="store_true", help="of the attempt before the last")
    parser.add_argument("-s", "--stream", choices=("stdout", "stderr"), help="only what went there")
    parser.add_argument("-t", "--timestamps", action="store_true", help="begin each line with its time")
    parser.add_argument(
        "--prefix", action=argparse.BooleanOptionalAction, help="begin each line with the container's name, or never"
    )
    parser.add_argument("--all-containers", action="store_true", help=argparse.SUPPRESS)  # kubectl's; here the default
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Copy the logs."""
    if args.follow and (args.until or args.previous):
        raise UsageError("--until and --previous are for the past, -f for what comes", todo="give one of them")
    with connect(args) as client:
        sources = Sources(client, args)
        found = sources.now()
        prefix = args.prefix
        if prefix is None:
            prefix = len(found) > 1 or (sources.whole and args.follow)
        if len(found) == 1 and not prefix and not (sources.whole and args.follow):
            _plain(client, args, found[0])
        else:
            from cricket.cli.logfollow import merged

            merged(sources, found, args, prefix)
    return 0


def _plain(client: Client, args: argparse.Namespace, source: Source) -> None:
    """One log as it was written: each stream to its own."""
    follow = _runs(client, source.id) if args.follow else None
    writer, fits = _Writer(args.timestamps), wanted(args.since, args.until, args.stream)
    for line in logfile.read(source.path, tail=args.tail, rotated=True, follow=follow, flush=writer.flush):
        if fits(line):
            writer.write(line)
    writer.flush()


class _Writer:
    """Joins the parts of long lines, stream by stream."""

    def __init__(self, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._within: set[str] = set()
        self._outs: dict[str, Any] = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}

    def write(self, line: LogLine) -> None:
        """Write one record."""
        out = self._outs[line.stream]
        if self._timestamps and line.stream not in self._within:
            out.write(format_time(line.timestamp) + b" ")
        out.write(line.text if line.partial else line.text + b"\n")
        (self._within.add if line.partial else self._within.discard)(line.stream)

    def flush(self) -> None:
        """Show what was written."""
        for out in self._outs.values():
            out.flush()


def _runs(client: Client, container_id: str) -> Callable[[], bool]:
    """Whether the container still runs; the runtime is asked at most once a second."""
    asked, state = 0.0, True

    def runs() -> bool:
        nonlocal asked, state
        if time.monotonic() - asked >= _ASK_EVERY:
            asked = time.monotonic()
            try:
                now = client.call("ContainerStatus", container_id=container_id).status.state
            except CricketError:
                return False  # removed, or the daemon is away: nothing will come that we could wait for
            state = now in (api_pb2.CONTAINER_RUNNING, api_pb2.CONTAINER_CREATED)
        return state

    return runs


def _tail(text: str) -> int | None:
    """A number of lines; docker's `all` and kubectl's -1 are all."""
    return None if text in ("all", "-1") else options.count(text)
