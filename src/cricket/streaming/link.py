"""A connection with its channels: drives a `Mux` over asyncio streams, with back-pressure in both directions.

Towards the peer a write waits until the peer (its window, the socket) takes the data. From the peer, at most
`BUFFERED` bytes wait for their readers in all channels together; then the connection is not read any more. So a channel
that nobody reads holds up its neighbours, as it does in every peer without flow control, but memory stays bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections import deque
from collections.abc import Coroutine

from cricket.streaming.traffic import Traffic
from cricket.wire.mux import Ended, Gone, Mux, Opened, Received, WasReset, Writable

CHUNK = 64 << 10
BUFFERED = 1 << 20
_OVERHEAD = 128
_REPLIES = 1 << 20
_LINGER = 60.0
_ACCEPT_QUEUE = 1000


class Channel:
    """A byte stream in each direction. Once the peer has reset it, reads end and writes go nowhere."""

    def __init__(self, link: Link, number: int, headers: dict[str, str]) -> None:
        self.number, self.headers = number, headers
        self._link = link
        self._chunks: deque[bytes] = deque()
        self._ended = self._reset = self._discards = self._finished = False
        self._readable, self._writable = asyncio.Event(), asyncio.Event()

    @property
    def was_reset(self) -> bool:
        """True when either side gave the channel up."""
        return self._reset

    async def read(self) -> bytes:
        """The next bytes; b"" when the peer sends nothing more."""
        while not self._chunks and not self._ended:
            self._readable.clear()
            await self._readable.wait()
        if not self._chunks:
            return b""
        data = self._chunks.popleft()
        self._link.consumed(self.number, len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Send, waiting while the peer does not take it. ConnectionError when the connection is gone."""
        rest = memoryview(data)
        while rest and not self._reset:
            room = self._link.mux.sendable(self.number)
            if room <= 0:
                self._writable.clear()
                await self._writable.wait()
                continue
            piece = rest[: min(room, CHUNK)]
            rest = rest[len(piece) :]
            self._link.mux.send(self.number, piece)
            await self._link.flush()

    async def end(self) -> None:
        """Half-close: the peer sees the end. Idempotent."""
        self._finished = True
        self._link.mux.end(self.number)
        self._forget_closed()
        await self._link.flush()

    async def reset(self) -> None:
        """Give it up in both directions. Idempotent."""
        self._finished = True
        self._link.mux.reset(self.number)
        self.peer_reset()
        self.discard()
        await self._link.flush()

    def accept(self) -> None:
        """Agree to the channel, so that the client may use it."""
        self._link.mux.accept(self.number)
        self._link.push()

    def discard(self) -> None:
        """Drop what comes in from now on and what came in before: nobody reads this channel."""
        self._discards = True
        while self._chunks:
            self._link.consumed(self.number, len(self._chunks.popleft()))

    def peer_sent(self, data: bytes) -> bool:
        """Take received bytes; False when they were dropped."""
        if self._discards:
            return False
        self._chunks.append(data)
        self._readable.set()
        return True

    def peer_ended(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._readable.set()
        self._forget_closed()

    def peer_reset(self) -> None:
        """The channel is gone; wake everybody."""
        self._reset = self._finished = True
        self._writable.set()
        self.peer_ended()

    def peer_takes(self) -> None:
        """The window may have grown."""
        self._writable.set()

    def _forget_closed(self) -> None:
        if self._ended and self._finished:
            self._link.forget(self)


class Link:
    """One upgraded connection. `run` is the only way to use it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        mux: Mux,
        *,
        idle_timeout: float,
        traffic: Traffic,
        linger: float = _LINGER,
    ) -> None:
        self.mux = mux
        self._reader, self._writer = reader, writer
        self._idle_timeout, self._linger, self._traffic = idle_timeout, linger, traffic
        self._channels: dict[int, Channel] = {}
        self._opened: asyncio.Queue[Channel] = asyncio.Queue(_ACCEPT_QUEUE)
        self._buffered = 0
        self._drained = asyncio.Event()
        self._refusing = self._finishing = False
        self._active = asyncio.get_running_loop().time()

    # --- for sessions -----------------------------------------------------------------------------------------

    def fixed(self, count: int) -> list[Channel]:
        """The channels 0 to count-1 of a connection that has them from the start."""
        channels = [Channel(self, number, {}) for number in range(count)]
        self._channels.update((channel.number, channel) for channel in channels)
        return channels

    async def opened(self) -> Channel:
        """The next channel that the client opens; accept or reset it."""
        return await self._opened.get()

    async def refuse_more(self) -> None:
        """Reset every channel that the client opens from now on."""
        self._refusing = True
        while not self._opened.empty():
            await self._opened.get_nowait().reset()

    async def run(self, session: Coroutine[None, None, None]) -> None:
        """Run `session` while the connection lives; it is cancelled when the client goes or nothing happens for long.

        Afterwards the farewell is sent and the client given time to read everything: closing a socket with unread
        input makes the kernel send a reset, upon which the client's kernel forgets output that was not read yet.
        """
        work = asyncio.ensure_future(session)
        receiving = asyncio.ensure_future(self._receive())
        idle = asyncio.ensure_future(self._idle(self._idle_timeout))
        try:
            await asyncio.wait((work, receiving, idle), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                with contextlib.suppress(ConnectionError):
                    await work
                await self._farewell(receiving)
            elif idle.done():
                self.mux.close()
                self.push()
        finally:
            await _stop(work, receiving, idle)
            self._writer.close()

    # --- for channels -----------------------------------------------------------------------------------------

    def consumed(self, number: int, size: int) -> None:
        """Bytes left a channel's buffer."""
        self._buffered -= size + _OVERHEAD
        if self._buffered <= BUFFERED:
            self._drained.set()
        self.mux.consumed(number, size)
        self.push()

    def forget(self, channel: Channel) -> None:
        """Both directions are closed: nothing comes for this channel any more."""
        self._channels.pop(channel.number, None)

    def push(self) -> None:
        """Hand pending output to the transport without waiting."""
        out = self.mux.output()
        if out and not self._writer.is_closing():
            data = b"".join(out)
            self._traffic.sent += len(data)
            self._writer.write(data)

    async def flush(self) -> None:
        """Hand pending output to the transport and wait while it is full. ConnectionError when the peer is gone."""
        self.push()
        await self._writer.drain()
        self._active = asyncio.get_running_loop().time()

    # --- the connection ---------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Read the connection to its end."""
        with contextlib.suppress(OSError):
            while data := await self._reader.read(CHUNK):
                self._active = asyncio.get_running_loop().time()
                self._traffic.received += len(data)
                alive = self._dispatch(data)
                self.push()
                if not alive or not await self._room():
                    return
                transport = self._writer.transport
                if transport.get_write_buffer_size() > _REPLIES:
                    await self._writer.drain()  # the peer provokes answers faster than it reads them

    def _dispatch(self, data: bytes) -> bool:
        for event in self.mux.receive(data):
            if isinstance(event, Gone):
                self._traffic.violations += event.violation
                return False
            if isinstance(event, Opened):
                self._open(event)
            elif isinstance(event, Writable) and event.channel == 0:
                for channel in list(self._channels.values()):
                    channel.peer_takes()
            elif (found := self._channels.get(event.channel)) is None:
                if isinstance(event, Received):
                    self.mux.consumed(event.channel, len(event.data))
            elif isinstance(event, Received):
                self._take(found, event.data)
            elif isinstance(event, Ended):
                found.peer_ended()
            elif isinstance(event, WasReset):
                found.peer_reset()
            elif isinstance(event, Writable):
                found.peer_takes()
        return True

    def _take(self, channel: Channel, data: bytes) -> None:
        if not self._finishing and channel.peer_sent(data):
            self._buffered += len(data) + _OVERHEAD
        else:
            self.mux.consumed(channel.number, len(data))

    def _open(self, event: Opened) -> None:
        if self._refusing or self._opened.full():
            self.mux.reset(event.channel)
            return
        channel = Channel(self, event.channel, event.headers)
        self._channels[event.channel] = channel
        self._opened.put_nowait(channel)

    async def _room(self) -> bool:
        """Wait until the channels' readers have caught up; False when the peer hangs up meanwhile."""
        while self._buffered > BUFFERED and not self._finishing:
            self._drained.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._drained.wait()
            except TimeoutError:
                if _hung_up(self._writer.get_extra_info("socket")):
                    return False
        return True

    async def _idle(self, limit: float) -> None:
        """Return when for `limit` seconds nothing came and nothing went."""
        loop = asyncio.get_running_loop()
        while (left := self._active + limit - loop.time()) > 0:
            await asyncio.sleep(left)

    async def _farewell(self, receiving: asyncio.Future[None]) -> None:
        self._finishing = True
        self._drained.set()
        for channel in list(self._channels.values()):
            channel.discard()
        self.mux.close()
        idle = asyncio.ensure_future(self._idle(min(self._linger, self._idle_timeout)))
        flushing = asyncio.ensure_future(self._last_flush())
        try:
            await asyncio.wait((receiving, idle), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stop(idle, flushing)

    async def _last_flush(self) -> None:
        with contextlib.suppress(OSError):
            await self.flush()
            if self._writer.can_write_eof():
                self._writer.write_eof()


async def _stop(*tasks: asyncio.Future[None]) -> None:
    """Cancel tasks and wait for their clean-up; their own results do not matter any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _hung_up(sock: socket.socket | None) -> bool:
    """True when the peer closed its side, seen without reading the socket."""
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
