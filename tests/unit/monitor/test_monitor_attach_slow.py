"""An attachment against a monitor that is the other end of a socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from cricket.monitor import attach
from cricket.monitor.attach import Attachment

Pair = tuple[Attachment, socket.socket]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, monitor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    monitor.setblocking(False)
    attachment = Attachment(ours, "/nosuch/bundle", terminal=False)
    yield attachment, monitor
    await attachment.close()
    monitor.close()


async def test_output_comes_with_its_stream_and_ends(pair: Pair) -> None:
    attachment, monitor = pair
    for packet in (b"\x02out", b"\x03err", b"\x01input", b"\x02"):
        monitor.send(packet)
    monitor.close()
    assert await attachment.read() == (1, b"out")
    assert await attachment.read() == (2, b"err")
    assert await attachment.read() is None
    assert await attachment.wait() == 0
    assert await attachment.read() is None


async def test_what_was_written_before_the_end_is_read_after_it(pair: Pair) -> None:
    attachment, monitor = pair
    monitor.send(b"\x02late")
    monitor.close()
    await attachment.wait()
    assert await attachment.read() == (1, b"late")
    assert await attachment.read() is None


async def test_a_slow_reader_gets_everything(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    attachment, monitor = pair
    monkeypatch.setattr(attach, "_LIMIT", 1000)
    sent = [b"\x02%d" % n + b"x" * 200 for n in range(50)]

    async def write() -> None:
        for packet in sent:
            await asyncio.get_running_loop().sock_sendall(monitor, packet)
        monitor.shutdown(socket.SHUT_WR)

    writing = asyncio.ensure_future(write())
    received = []
    while (chunk := await attachment.read()) is not None:
        await asyncio.sleep(0)
        received.append(b"\x02" + chunk[1])
    await writing
    assert received == sent


async def test_one_that_reads_nothing_is_let_go(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    attachment, monitor = pair
    monkeypatch.setattr(attach, "_LIMIT", 1000)
    monkeypatch.setattr(attach, "_PATIENCE", 0.05)
    monitor.send(b"\x02" + b"x" * 2000)
    await asyncio.wait_for(attachment.wait(), 5)
    with pytest.raises(BrokenPipeError):
        monitor.send(b"\x02more")
    assert await attachment.read() == (1, b"x" * 2000), "what was taken is still told"
    assert await attachment.read() is None


async def test_input_that_waits_ends_with_the_attachment(pair: Pair) -> None:
    attachment, monitor = pair
    writing = asyncio.ensure_future(attachment.write(b"x" * (8 << 20)))
    await asyncio.sleep(0)
    monitor.close()
    await asyncio.wait_for(writing, 5)
    await attachment.write(b"dropped")


async def test_closing_twice_is_no_error(pair: Pair) -> None:
    attachment, _ = pair
    await attachment.close()
    await attachment.close()
