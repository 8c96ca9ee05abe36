"""A session of exec or attach with the user's own streams, by the streaming URL that the runtime gave."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import signal
import ssl
from collections.abc import Callable, Iterator

from cricket.cli import terminal
from cricket.client.streams import run_command
from cricket.errors import FailedPrecondition, map_errors


def converse(url: str, args: argparse.Namespace, *, stdin: bool, tty: bool, may_leave: bool = False) -> int:
    """Run the session to its end; returns the exit code of the command, or 128 + the signal that ended us.

    `args` holds the options of `add_transport`. With `tty` and a terminal as standard input that terminal is raw for
    as long; with `may_leave` Ctrl-P Ctrl-Q then ends the session, with 0.
    """
    raw = tty and stdin and os.isatty(0)
    with terminal.raw(0) if raw else contextlib.nullcontext():
        return asyncio.run(_converse(url, args, stdin, tty, may_leave and raw))


async def _converse(url: str, args: argparse.Namespace, stdin: bool, tty: bool, may_leave: bool) -> int:
    with _ending() as (ended, end):
        source = terminal.chunks(0) if stdin else None
        if source is not None and may_leave:
            source = terminal.until_left(source, functools.partial(end, 0))
        try:
            return await run_command(
                url,
                transport=args.transport,
                stdin=source,
                stdout=functools.partial(terminal.write, 1),
                stderr=None if tty else functools.partial(terminal.write, 2),
                tty=tty,
                sizes=terminal.sizes(_terminal()) if tty and _terminal() >= 0 else None,
                tls=tls_context(args),
            )
        except asyncio.CancelledError:
            if not ended:
                raise
            return ended[0]


def tls_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """What the options of `add_transport` say of TLS; None for the system's defaults. Raises FailedPrecondition."""
    if not args.tls_ca and not args.tls_insecure:
        return None
    with map_errors(OSError, FailedPrecondition, "the certificates cannot be read", where=args.tls_ca or ""):
        context = ssl.create_default_context(cafile=args.tls_ca)
    if args.tls_insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _terminal() -> int:
    """The file descriptor of the user's terminal, -1 when there is none."""
    return next((fd for fd in (0, 1, 2) if os.isatty(fd)), -1)


@contextlib.contextmanager
def _ending() -> Iterator[tuple[list[int], Callable[[int], None]]]:
    """Ways to end the session in order, so that the terminal is given back: a function that takes the exit code, and
    signals. The list holds the code when it was ended so."""
    loop, task, ended = asyncio.get_running_loop(), asyncio.current_task(), list[int]()
    assert task is not None

    def end(code: int) -> None:
        ended.append(code)
        task.cancel()

    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, end, 128 + number)
    try:
        yield ended, end
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
