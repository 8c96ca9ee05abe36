"""One client's connection: bytes between its socket, `wire.http2` and its calls, on asyncio.

Whatever the client does, it costs others a few milliseconds at a time and a bounded amount of memory: input is taken
and served in turns, output is fetched when the socket takes it, and a client that breaks rules or wears us out is cut
off. A fault of ours ends the connection, too, and is logged: a client that hangs would be worse.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from cricket.cri.calls import QUEUE_LIMIT, Calls
from cricket.cri.served import Served
from cricket.wire.http2 import Http2Server
from cricket.wire.http2_frames import Reason
from cricket.wire.http2_output import ROOM
from cricket.wire.mux import Gone

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds for a greeting, for a request to end, and for answers to be read that others wait for; at most twice that."""
CHATTER, CHATTER_PERIOD = 10_000, 10.0
"""Frames that bring nothing, and the seconds in which there may be no more of them."""
_FAREWELL = 5.0
"""Seconds for a client that is cut off to read why."""
_WRITES = 4
"""Writes, of a few hundred KiB, before it is others' turn."""


class Connection(asyncio.BufferedProtocol):
    """The protocol of one accepted socket."""

    def __init__(self, served: Served) -> None:
        self._served, self._http2 = served, Http2Server()
        self._loop = asyncio.get_running_loop()
        self.calls = Calls(self, served, self._http2)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._again: asyncio.Handle | None = None
        self._calm = self._loop.time()
        self._reading = True
        self._closing = False
        self.paused = False
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def queued(self) -> int:
        """Bytes of answers that wait for the client."""
        return self._http2.queued

    @property
    def idle(self) -> bool:
        """Whether the client waits for nothing, and is not on its way out."""
        return self.calls.idle and not self._closing

    # --- the socket -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._served.admit(self):
            self._closing = True
            transport.abort()
            return
        self._timer = self.later(self._loop.time() + PATIENCE, self._tidy)
        self.turn()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self._closing = None, True
        self._served.connections.pop(self, None)
        for handle in (self._timer, self._again):
            if handle is not None:
                handle.cancel()
        self._guarded(self.calls.drop_all)
        if not self.closed.done():
            self.closed.set_result(None)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._served.buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._receive(bytes(memoryview(self._served.buffer)[:nbytes]))
        except Exception:
            self._fail()

    def _receive(self, data: bytes) -> None:
        self._served.connections.move_to_end(self)
        for event in self._http2.receive(data):
            if isinstance(event, Gone):
                self._end(event)
                return
            self.calls.on_event(event)
        self.turn()
        if self._http2.chatter > CHATTER:
            self._limit_chatter()
        elif self._http2.chatter < 0:
            self._http2.chatter = 0
        if self.calls.waiting and self._timer is None:
            self._timer = self.later(self._loop.time() + PATIENCE, self._tidy)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._guarded(self.turn)

    # --- turns ------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Serve and send what can be, for some milliseconds; the rest has its turn after others."""
        if self._closing:
            return
        self.calls.serve()
        more = self._flush() or self.calls.ready
        if not self.paused:
            self.calls.wake()
            if more:
                self.soon()
        if self._http2.queued > QUEUE_LIMIT:
            self._served.check_queues()
        # What a client sends while it does not read can only make more to be written. Calls that wait for a window do
        # not keep it from being heard: what opens the window comes the same way.
        reading = not self.paused and not more
        if reading != self._reading and self._transport is not None:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def soon(self) -> None:
        """Have a turn after others."""
        if self._again is None:
            self._again = self._loop.call_soon(self._guarded, self._turn_again)

    def _turn_again(self) -> None:
        self._again = None
        self.turn()

    def _flush(self) -> bool:
        """Write what the socket takes; whether there is more."""
        for _ in range(_WRITES):
            if self.paused or self._closing or self._transport is None:
                return False
            data = self._http2.output()
            if data:
                self._transport.write(data)
            if len(data) < ROOM:
                return False
        return True

    def later(self, when: float, work: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        """Call at a time of the loop's clock; an exception ends the connection."""
        return self._loop.call_at(when, self._guarded, work, *args)

    def _guarded(self, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except Exception:
            self._fail()

    def _fail(self) -> None:
        log.exception("a client is cut off by a fault of the runtime")
        self.abort()

    # --- limits and ends --------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """End what does not go on: connections without a greeting, requests that cannot be served."""
        self._timer = None
        if not self._http2.greeted:
            self.cut_off("it says nothing")
            return
        self.calls.refuse_old()
        self.turn()
        if self.calls.waiting:
            self._timer = self.later(self._loop.time() + PATIENCE, self._tidy)

    def _limit_chatter(self) -> None:
        now = self._loop.time()
        if now - self._calm < CHATTER_PERIOD:
            self.cut_off("too many frames that bring nothing")
        self._calm, self._http2.chatter = now, 0

    def cut_off(self, why: str) -> None:
        """End the connection for what the client does."""
        self._end(self._http2.die(Reason.ENHANCE_YOUR_CALM, why))

    def _end(self, gone: Gone) -> None:
        log.debug("a client is cut off: %s", gone.reason)
        self.calls.drop_all()
        self.turn()
        self.close()

    def leave(self) -> None:
        """Tell the client that the server stops taking calls."""
        self._http2.leave()
        self.turn()

    def dismiss(self) -> None:
        """Make room: a client without calls comes back when it has some."""
        self.leave()
        self.close()

    def close(self) -> None:
        """Close when everything is written, or after some seconds; `abort` does not wait."""
        if self._transport is not None and not self._closing:
            self._closing = True
            self._transport.close()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(_FAREWELL, self.abort)

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
