"""Attaching to a container's first process through conmon's socket (SEQPACKET; one leading byte names the stream)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from cricket.errors import FailedPrecondition, map_errors
from cricket.monitor import conmon

_FRAME = 65536
_CHUNK = 8192  # conmon reads at most this much of one packet in all versions; the rest of a larger one would be lost


class Attachment:
    """Streams of a running container; satisfies `cricket.types.streams.Process`."""

    def __init__(self, sock: socket.socket, bundle: str, *, terminal: bool) -> None:
        self._sock, self._bundle, self._terminal = sock, bundle, terminal
        self._ended = asyncio.Event()
        self._stdin_open = True

    async def read(self) -> tuple[int, bytes] | None:
        """The next output, None when the container's output has ended."""
        loop = asyncio.get_running_loop()
        while not self._ended.is_set():
            try:
                packet = await loop.sock_recv(self._sock, _FRAME)
            except OSError:
                packet = b""
            if not packet:
                self._ended.set()
                return None
            # 2 is standard output and 3 standard error (1 would be the input).
            if packet[0] in (2, 3) and len(packet) > 1:
                return packet[0] - 1, packet[1:]
        return None

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
        """Let go; the container goes on."""
        self._ended.set()
        self._sock.close()


async def attach(bundle: str, *, terminal: bool) -> Attachment:
    """Connect to the monitor of a running container. Raises FailedPrecondition when there is none."""
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
