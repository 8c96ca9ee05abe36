"""An exec or attach session: connects the channels of a client with a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from cricket.errors import CricketError
from cricket.streaming.link import Channel, Link
from cricket.types.streams import STDOUT, AttachRequest, ExecRequest, Process
from cricket.wire import remotecommand as rc
from cricket.wire.remotecommand import Dialect

CommandRequest = ExecRequest | AttachRequest


class Channels(msgspec.Struct):
    """The client's channels by purpose; None where there is none or the request did not ask for it."""

    stdin: Channel | None = None
    stdout: Channel | None = None
    stderr: Channel | None = None
    error: Channel | None = None
    resize: Channel | None = None


async def serve_command(
    link: Link,
    request: CommandRequest,
    start: Callable[[], Awaitable[Process]],
    dialect: Dialect,
    *,
    fixed: bool,
    creation_timeout: float,
) -> None:
    """Gather the channels, start the process, copy until its output ended, tell the exit code.

    The output channels are ended before the status is sent, as clients read the one to the end before the other.
    """
    channels = Channels()
    try:
        async with asyncio.timeout(creation_timeout):
            await (_fixed(link, channels, request, dialect) if fixed else _opened(link, channels, request, dialect))
    except TimeoutError:
        await _fail(channels, "timed out waiting for client to create streams", dialect)
        return
    try:
        process = await start()
    except CricketError as e:
        await _fail(channels, f"error executing command in container: {e}", dialect)
        return
    try:
        try:
            status = rc.encode_exit(await _copy(process, channels), dialect)
        except CricketError as e:
            status = rc.encode_failure(f"error while streaming: {e}", dialect)
    finally:
        await process.close()
    await _finish(channels, status)


def _wanted(request: CommandRequest, dialect: Dialect) -> dict[str, bool]:
    """The channels of each purpose that the request asks for."""
    return {
        "error": True,
        "stdin": request.stdin,
        "stdout": request.stdout,
        "stderr": request.stderr and not request.tty,
        "resize": request.tty and dialect.resize,
    }


async def _fixed(link: Link, channels: Channels, request: CommandRequest, dialect: Dialect) -> None:
    """WebSocket: the channels are there; an empty message on the first that we write tells that we are ready."""
    numbered = link.fixed(5)
    for purpose, wanted in _wanted(request, dialect).items():
        channel = numbered[rc.TYPES[purpose]]
        if wanted:
            setattr(channels, purpose, channel)
        if not wanted or purpose not in ("stdin", "resize"):
            channel.discard()
    first = next(c for c in (channels.stdout, channels.stderr, channels.error) if c)
    link.mux.send(first.number, b"")
    await link.flush()


async def _opened(link: Link, channels: Channels, request: CommandRequest, dialect: Dialect) -> None:
    """SPDY: the client opens a stream for each purpose; one that was not asked for is accepted and leads nowhere."""
    wanted = _wanted(request, dialect)
    missing = {purpose for purpose, needed in wanted.items() if needed}
    seen: set[str] = set()
    while missing:
        channel = await link.opened()
        purpose = channel.headers.get("streamtype", "")
        if purpose not in rc.TYPES or purpose in seen:
            await channel.reset()
            continue
        seen.add(purpose)
        missing.discard(purpose)
        if wanted[purpose]:
            setattr(channels, purpose, channel)
        if not wanted[purpose] or purpose not in ("stdin", "resize"):
            channel.discard()
        channel.accept()
    await link.refuse_more()


async def _copy(process: Process, channels: Channels) -> int:
    """Copy in all directions until the process' output ended; returns its exit code."""
    helpers = []
    if channels.stdin:
        helpers.append(asyncio.ensure_future(_feed(channels.stdin, process)))
    if channels.resize:
        helpers.append(asyncio.ensure_future(_resize(channels.resize, process)))
    try:
        while (output := await process.read()) is not None:
            target = channels.stdout if output[0] == STDOUT else channels.stderr
            if target:
                await target.write(output[1])
        return await process.wait()
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)


async def _feed(stdin: Channel, process: Process) -> None:
    """Copy stdin. A process that cannot be written to is no error of the session: its exit code says what happened."""
    try:
        while data := await stdin.read():
            await process.write(data)
        await process.close_stdin()
    except CricketError:
        stdin.discard()


async def _resize(channel: Channel, process: Process) -> None:
    """Apply terminal sizes as they come; what is no size, or fails, ends it silently (as peers do)."""
    decoder = rc.SizeDecoder()
    with contextlib.suppress(CricketError):
        while data := await channel.read():
            for width, height in decoder.feed(data):
                await process.resize(width, height)
    channel.discard()


async def _fail(channels: Channels, text: str, dialect: Dialect) -> None:
    """Nothing was run. Clients of version 1 look at the error only until their outputs end, so it comes first."""
    if channels.error:
        await channels.error.write(rc.encode_failure(text, dialect))
    await _finish(channels, b"")


async def _finish(channels: Channels, status: bytes) -> None:
    """End the data channels, then tell the status. A client that is gone misses it."""
    for channel in (channels.stdin, channels.stdout, channels.stderr, channels.resize):
        if channel:
            await channel.end()
    if channels.error:
        await channels.error.write(status)
        await channels.error.end()
