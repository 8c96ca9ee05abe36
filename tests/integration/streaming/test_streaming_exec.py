"""exec and attach over every protocol, against real processes."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cricket.client.streams import Transport, run_command
from cricket.errors import Internal
from cricket.streaming.server import StreamServer
from cricket.types.streams import AttachRequest, ExecRequest

SPDY = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
WEBSOCKET = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
]
EVERY: list[tuple[Transport, str]] = [("spdy", n) for n in SPDY] + [("websocket", n) for n in WEBSOCKET]
HALF_CLOSING: list[tuple[Transport, str]] = [("spdy", n) for n in SPDY] + [("websocket", "v5.channel.k8s.io")]


class Collected:
    """Sinks that remember."""

    def __init__(self) -> None:
        self.out, self.err = b"", b""

    async def stdout(self, data: bytes) -> None:
        self.out += data

    async def stderr(self, data: bytes) -> None:
        self.err += data


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def run(
    server: StreamServer, transport: Transport, name: str, *cmd: str, **options: Any
) -> tuple[int, Collected]:
    got = Collected()
    stdin = options.get("stdin")
    url = server.exec_url(ExecRequest("c", cmd, stdin=stdin is not None))
    code = await run_command(
        url, transport=transport, protocols=(name,), stdout=got.stdout, stderr=got.stderr, **options
    )
    return code, got


@pytest.mark.parametrize(("transport", "name"), EVERY)
async def test_both_outputs_arrive(server: StreamServer, transport: Transport, name: str) -> None:
    code, got = await run(server, transport, name, "sh", "-c", "echo out; echo err >&2")
    assert (code, got.out, got.err) == (0, b"out\n", b"err\n")


@pytest.mark.parametrize(("transport", "name"), EVERY)
async def test_exit_codes(server: StreamServer, transport: Transport, name: str) -> None:
    if name.startswith(("v4", "v5")):
        assert (await run(server, transport, name, "sh", "-c", "exit 42"))[0] == 42
        assert (await run(server, transport, name, "sh", "-c", "kill -9 $$"))[0] == 137
    elif (transport, name) == ("spdy", "channel.k8s.io"):
        assert (await run(server, transport, name, "sh", "-c", "exit 42"))[0] == 0  # as it always was
    else:
        with pytest.raises(Internal, match="non-zero exit code: 42"):
            await run(server, transport, name, "sh", "-c", "exit 42")


@pytest.mark.parametrize(("transport", "name"), HALF_CLOSING)
async def test_end_of_stdin_reaches_the_process(server: StreamServer, transport: Transport, name: str) -> None:
    code, got = await run(server, transport, name, "sh", "-c", "cat; echo end", stdin=chunks(b"one ", b"two\n"))
    assert (code, got.out) == (0, b"one two\nend\n")


@pytest.mark.parametrize(("transport", "name"), EVERY)
async def test_stdin_without_half_close(server: StreamServer, transport: Transport, name: str) -> None:
    code, got = await run(server, transport, name, "head", "-c", "6", stdin=chunks(b"abc", b"def"))
    assert (code, got.out) == (0, b"abcdef")


@pytest.mark.parametrize(("transport", "name"), EVERY)
async def test_a_missing_container_is_told(server: StreamServer, transport: Transport, name: str) -> None:
    url = server.exec_url(ExecRequest("missing", ("true",), stderr=False))
    with pytest.raises(Internal, match="does not exist"):
        await run_command(url, transport=transport, protocols=(name,), stdout=Collected().stdout)


@pytest.mark.parametrize(("transport", "name"), [("spdy", SPDY[0]), ("websocket", WEBSOCKET[0])])
async def test_terminal_size(server: StreamServer, transport: Transport, name: str) -> None:
    async def sizes() -> AsyncIterator[tuple[int, int]]:
        yield 123, 45

    got = Collected()
    script = "until [ \"$(stty size)\" = '45 123' ]; do sleep 0.01; done; stty size"
    url = server.exec_url(ExecRequest("c", ("sh", "-c", script), tty=True, stdin=True, stderr=False))
    code = await run_command(
        url, transport=transport, protocols=(name,), stdin=chunks(), stdout=got.stdout, tty=True, sizes=sizes()
    )
    assert code == 0
    assert got.out.endswith(b"45 123\r\n")


@pytest.mark.parametrize(("transport", "name"), HALF_CLOSING)
async def test_attach(server: StreamServer, transport: Transport, name: str) -> None:
    got = Collected()
    url = server.attach_url(AttachRequest("c", stdin=True))
    code = await run_command(
        url, transport=transport, protocols=(name,), stdin=chunks(b"hello"), stdout=got.stdout, stderr=got.stderr
    )
    assert (code, got.out) == (0, b"hello")


@pytest.mark.parametrize(
    ("transport", "name"), [("spdy", SPDY[0]), ("websocket", WEBSOCKET[0]), ("websocket", WEBSOCKET[2])]
)
async def test_much_output_is_not_lost_at_exit(server: StreamServer, transport: Transport, name: str) -> None:
    digest, size = hashlib.sha256(), 0

    async def slow(data: bytes) -> None:
        nonlocal size
        await asyncio.sleep(0)
        digest.update(data)
        size += len(data)

    url = server.exec_url(
        ExecRequest("c", ("sh", "-c", "yes 0123456789abcde | head -c 20000000; exit 3"), stderr=False)
    )
    assert await run_command(url, transport=transport, protocols=(name,), stdout=slow) == 3
    assert size == 20_000_000
    assert digest.digest() == hashlib.sha256(b"0123456789abcde\n" * 1_250_000).digest()


@pytest.mark.parametrize(("transport", "name"), [("spdy", SPDY[0]), ("websocket", WEBSOCKET[0])])
async def test_a_hundred_megabytes_through_cat(server: StreamServer, transport: Transport, name: str) -> None:
    block = bytes(range(256)) * 256
    sent, received, size = hashlib.sha256(), hashlib.sha256(), 0

    async def source() -> AsyncIterator[bytes]:
        for number in range(1600):
            data = number.to_bytes(4, "big") + block[4:]
            sent.update(data)
            yield data

    async def sink(data: bytes) -> None:
        nonlocal size
        received.update(data)
        size += len(data)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    url = server.exec_url(ExecRequest("c", ("cat",), stdin=True, stderr=False))
    assert await run_command(url, transport=transport, protocols=(name,), stdin=source(), stdout=sink) == 0
    assert size == 1600 * 65536
    assert sent.digest() == received.digest()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB, server and client together
