"""Show what a container has written: its stdout on stdout, its stderr on stderr.

The log file is read where the runtime keeps it, so this works on the node itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.client import logfile
from cricket.client.connection import Client
from cricket.errors import CricketError, FailedPrecondition
from cricket.wire.logline import LogLine, format_time

EXAMPLES = """\
  cricket logs web
  cricket logs -f --tail 20 web     the last 20 lines and what comes
  cricket logs --since 10m -t web   with timestamps
"""
_ASK_EVERY = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", help="id or name")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument("--tail", type=_count, metavar="N", help="only the last N lines")
    parser.add_argument("--since", type=options.seconds, metavar="SPAN", help="only what is younger, like 10m")
    parser.add_argument("-t", "--timestamps", action="store_true", help="begin each line with its time")
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Copy the log."""
    with connect(args) as client:
        status = client.call("ContainerStatus", container_id=find.container(client, args.container).id).status
        if not status.log_path:
            raise FailedPrecondition("the container has no log", where=args.container, todo="set log_path in its JSON")
        follow = _runs(client, status.id) if args.follow else None
        since = time.time_ns() - int(args.since * 1e9) if args.since is not None else 0
        writer = _Writer(args.timestamps)
        for line in logfile.read(status.log_path, tail=args.tail, follow=follow, flush=writer.flush):
            if line.timestamp >= since:
                writer.write(line)
        writer.flush()
    return 0


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


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines")
    return int(text)
