"""A session of exec or attach with the user's own streams, by the streaming URL that the runtime gave."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import ssl
from collections.abc import Callable

from cricket.cli import terminal
from cricket.client.streams import run_command
from cricket.errors import FailedPrecondition, map_errors


def converse(
    url: str,
    args: argparse.Namespace,
    *,
    stdin: bool,
    tty: bool,
    may_leave: bool = False,
    connected: Callable[[], object] | None = None,
) -> int:
    """Run the session to its end; returns the exit code of the command, or 128 + the signal that ended us.

    `args` holds the options of `add_transport`. With `tty` and a terminal as standard input that terminal is raw for
    as long; with `may_leave` Ctrl-P Ctrl-Q then ends the session, with 0. (Not for exec: shells know Ctrl-P, too.)
    `connected` is called, in a thread, when the streams are there.
    """
    raw = tty and stdin and os.isatty(0)
    # The signals are caught for longer than the terminal is raw: none can end us in between.
    with terminal.Ending() as ending, terminal.raw(0) if raw else contextlib.nullcontext():
        return asyncio.run(_converse(url, args, ending, stdin, tty, may_leave and raw, connected))


async def _converse(
    url: str,
    args: argparse.Namespace,
    ending: terminal.Ending,
    stdin: bool,
    tty: bool,
    may_leave: bool,
    connected: Callable[[], object] | None,
) -> int:
    source = terminal.chunks(0) if stdin else None
    if source is not None and may_leave:
        source = terminal.until_left(source, functools.partial(ending.end, 0))
    with ending.cancels_this_task():
        if ending.code is not None:
            return ending.code
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
                connected=None if connected is None else functools.partial(asyncio.to_thread, connected),
            )
        except asyncio.CancelledError:
            if ending.code is None:
                raise
            return ending.code


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
