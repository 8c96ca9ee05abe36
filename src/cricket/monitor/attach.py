"""Attaching to a container's first process through conmon's socket (SEQPACKET; one leading byte names the stream)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque

from cricket.errors import FailedPrecondition, ResourceExhausted, map_errors
from cricket.monitor import conmon

log = logging.getLogger(__name__)
_FRAME = 65536
_LIMIT = 1 << 20  # bytes of output kept for a client that is slow
_PATIENCE = 10.0  # seconds
_CHUNK = 8192  # conmon reads at most this much of one packet in all versions; the rest of a larger one would be lost


class Attachment:
    """Streams of a running container; satisfies `cricket.types.streams.Process`.

    conmon waits for whoever is attached, and with it everything waits: the log, the container, the exit code. So output
    is taken from it as it comes, and a client that reads none of it for `_PATIENCE` seconds is let go.
    """

    def __init__(self, sock: socket.socket, bundle: str, *, terminal: bool) -> None:
        self._sock, self._bundle, self._terminal = sock, bundle, terminal
        self._ended = asyncio.Event()
        self._stdin_open = True
        self._packets: deque[bytes] = deque()
        self._size = 0
        self._came, self._taken = asyncio.Event(), asyncio.Event()
        self._pump = asyncio.ensure_future(self._receive())

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while packet := await loop.sock_recv(self._sock, _FRAME):
                self._packets.append(packet)
                self._size += len(packet)
                self._came.set()
                if self._size >= _LIMIT:
                    self._taken.clear()
                    await asyncio.wait_for(self._taken.wait(), _PATIENCE)
        except TimeoutError:
            log.warning("a client attached to %s reads nothing; it is let go", os.path.basename(self._bundle))
        except OSError:
            pass
        finally:
            # Not closed yet: input may be waiting for the descriptor.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            self._ended.set()
            self._came.set()

    async def read(self) -> tuple[int, bytes] | None:
        """The next output, None when the container's output has ended."""
        while True:
            while self._packets:
                packet = self._packets.popleft()
                self._size -= len(packet)
                self._taken.set()
                # 2 is standard output and 3 standard error (1 would be the input).
                if packet[0] in (2, 3) and len(packet) > 1:
                    return packet[0] - 1, packet[1:]
            if self._ended.is_set():
                return None
            self._came.clear()
            await self._came.wait()

    async def write(self, data: bytes) -> None:
        """Pass on input; dropped when the container no longer takes any."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), _CHUNK):
            if not self._stdin_open:
                return
            try:
                await loop.sock_sendall(self._sock, data[start : start + _CHUNK])
            except OSError:
                self._stdin_open = False

    async def close_stdin(self) -> None:
        """Half-close; the container sees the end of its input when it was created with stdin_once."""
        if self._stdin_open:
            self._stdin_open = False
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    async def resize(self, width: int, height: int) -> None:
        """Resize the container's terminal."""
        if self._terminal:
            with contextlib.suppress(FailedPrecondition):
                conmon.resize(self._bundle, width, height)

    async def wait(self) -> int:
        """0, as soon as the output has ended."""
        await self._ended.wait()
        return 0

    async def close(self) -> None:
        """Let go; the container goes on. Idempotent."""
        self._pump.cancel()
        await asyncio.wait((self._pump,))
        self._sock.close()
        self._packets.clear()


async def attach(bundle: str, *, terminal: bool) -> Attachment:
    """Connect to the monitor of a running container. Raises FailedPrecondition without one, ResourceExhausted."""
    with map_errors(OSError, ResourceExhausted, "cannot make a socket", where=bundle):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with map_errors(OSError, FailedPrecondition, "the container has no monitor to attach to", where=bundle):
            directory = os.open(bundle, os.O_PATH | os.O_CLOEXEC)
            try:
                # Through /proc, as the whole path may be longer than the 108 bytes of a socket address.
                sock.connect(f"/proc/self/fd/{directory}/attach")
            finally:
                os.close(directory)
    except BaseException:
        sock.close()
        raise
    return Attachment(sock, bundle, terminal=terminal)
