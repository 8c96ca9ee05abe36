"""Attaching, to a socket that speaks as conmon does."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cricket.errors import FailedPrecondition
from cricket.monitor.attach import Attachment, attach
from cricket.types.streams import STDERR, STDOUT


class Conmon:
    """The other end; the bundle's path is longer than a socket address may be."""

    def __init__(self, directory: Path) -> None:
        self.bundle = directory / ("x" * 120)
        self.bundle.mkdir()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.open(self.bundle, os.O_PATH)
        self._listener.bind(f"/proc/self/fd/{here}/attach")
        os.close(here)
        self._listener.listen()
        self.socket: socket.socket

    async def attached(self, *, terminal: bool = False) -> Attachment:
        attachment = await attach(str(self.bundle), terminal=terminal)
        self.socket = self._listener.accept()[0]
        return attachment

    def close(self) -> None:
        self._listener.close()
        if hasattr(self, "socket"):
            self.socket.close()


@pytest.fixture
async def conmon(tmp_path: Path) -> AsyncIterator[Conmon]:
    made = Conmon(tmp_path)
    yield made
    made.close()


async def test_output_is_told_apart(conmon: Conmon) -> None:
    attachment = await conmon.attached()
    for packet in (b"\x02out", b"\x03err", b"\x01ignored", b"\x02", b"\x02more"):
        conmon.socket.send(packet)
    assert [await attachment.read() for _ in range(3)] == [(STDOUT, b"out"), (STDERR, b"err"), (STDOUT, b"more")]
    conmon.socket.close()
    assert await attachment.read() is None
    assert await attachment.wait() == 0
    await attachment.close()


async def test_input_comes_in_pieces_that_conmon_reads_whole(conmon: Conmon) -> None:
    attachment = await conmon.attached()
    data = os.urandom(50_000)
    writing = asyncio.ensure_future(attachment.write(data))
    loop, received = asyncio.get_running_loop(), bytearray()
    conmon.socket.setblocking(False)
    while len(received) < len(data):
        packet = await loop.sock_recv(conmon.socket, 1 << 20)
        assert 0 < len(packet) <= 8192
        received += packet
    await writing
    assert received == data
    await attachment.close_stdin()
    await attachment.close_stdin()
    assert await loop.sock_recv(conmon.socket, 100) == b""
    await attachment.write(b"too late")
    conmon.socket.send(b"\x02still")
    assert await attachment.read() == (STDOUT, b"still")
    await attachment.close()


async def test_a_container_that_is_gone_takes_no_input_and_no_size(conmon: Conmon) -> None:
    attachment = await conmon.attached(terminal=True)
    conmon.socket.close()
    await attachment.write(b"x" * 100_000)
    await attachment.resize(80, 24)
    assert await attachment.read() is None
    await attachment.close()


async def test_without_a_monitor_it_is_told(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for bundle in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(FailedPrecondition, match="no monitor"):
            await attach(str(bundle), terminal=False)
    assert len(os.listdir("/proc/self/fd")) <= len(before)
