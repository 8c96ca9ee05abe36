"""Checklist 33 and 34: streaming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from conformance_kit import FOREVER, ConformanceNode, refused
from harness.node import until

from cricket.client.streams import PortForward, Transport, run_command, upgrade
from cricket.errors import CricketError
from cricket.streaming.tokens import Tokens
from cricket.types.streams import PortForwardRequest
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.remotecommand import SPDY_DIALECTS, WEBSOCKET_DIALECTS, WEBSOCKET_PORT_DIALECTS

pytestmark = pytest.mark.root

_ALL: list[tuple[Transport, str]] = [
    *(("spdy", name) for name in SPDY_DIALECTS),
    *(("websocket", name) for name in WEBSOCKET_DIALECTS),
]


def _exec_url(node: ConformanceNode, container: str, *cmd: str, **wanted: Any) -> str:
    fields = {"stdout": True, "stderr": not wanted.get("tty"), **wanted}
    return str(node.cri.call("Exec", container_id=container, cmd=list(cmd), **fields).url)


async def _lines(*lines: bytes) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


async def _run(url: str, transport: Transport, protocol: str, *stdin: bytes) -> tuple[int, bytes, bytes]:
    out, err = bytearray(), bytearray()

    async def to_out(data: bytes) -> None:
        out.extend(data)

    async def to_err(data: bytes) -> None:
        err.extend(data)

    source = _lines(*stdin) if stdin else None
    run = run_command(url, transport=transport, protocols=(protocol,), stdin=source, stdout=to_out, stderr=to_err)
    return await asyncio.wait_for(run, 20), bytes(out), bytes(err)


def test_33_the_url_is_absolute_with_a_one_shot_token(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod, node.container(image, *FOREVER))
    urls = {
        _exec_url(node, container, "true"),
        _exec_url(node, container, "true"),
        node.cri.call("Attach", container_id=container, stdout=True, stderr=True).url,
        node.cri.call("PortForward", pod_sandbox_id=pod, port=[80]).url,
    }
    assert len(urls) == 4, "tokens are used twice"
    assert all(
        urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname and urlsplit(url).port for url in urls
    )
    url = _exec_url(node, container, "echo", "once")
    assert asyncio.run(_run(url, "websocket", "v5.channel.k8s.io")) == (0, b"once\n", b"")
    with pytest.raises(CricketError, match="404"):
        asyncio.run(_run(url, "websocket", "v5.channel.k8s.io"))


def test_33_a_token_lives_60_seconds() -> None:
    """Waiting for it at a socket would take a minute; this is the daemon's store of tokens with another clock."""
    now = 1000.0
    tokens = Tokens(clock=lambda: now)
    early, late = tokens.put(PortForwardRequest("s")), tokens.put(PortForwardRequest("s"))
    now += 59.9
    assert tokens.take(early) is not None
    now += 0.2
    assert tokens.take(late) is None


def test_33_targets_are_checked_before_a_url_is_given(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    created = node.create(pod, node.container(image, *FOREVER))
    with refused("NOT_FOUND"):
        _exec_url(node, "nosuch", "true")
    with refused("FAILED_PRECONDITION"):
        _exec_url(node, created, "true")
    with refused("INVALID_ARGUMENT"):
        node.cri.call("Exec", container_id=created, cmd=["true"])  # no stream at all
    node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    with refused("FAILED_PRECONDITION"):
        node.cri.call("PortForward", pod_sandbox_id=pod, port=[80])


@pytest.mark.parametrize(("transport", "protocol"), _ALL)
def test_34_exec_over_each_protocol(node: ConformanceNode, image: str, transport: Transport, protocol: str) -> None:
    container = node.run(node.run_pod(), node.container(image, *FOREVER))
    # Without half-close in the protocol the command must not wait for the end of its input.
    url = _exec_url(node, container, "sh", "-c", "read x; echo got $x; echo err >&2", stdin=True)
    assert asyncio.run(_run(url, transport, protocol, b"in\n")) == (0, b"got in\n", b"err\n")
    url = _exec_url(node, container, "sh", "-c", "exit 7")
    dialects = SPDY_DIALECTS if transport == "spdy" else WEBSOCKET_DIALECTS
    if dialects[protocol].json_status:
        assert asyncio.run(_run(url, transport, protocol))[0] == 7


@pytest.mark.parametrize("transport", ["spdy", "websocket"])
def test_34_exec_on_each_handler(node: ConformanceNode, image: str, handler: str, transport: Transport) -> None:
    container = node.run(node.run_pod(handler=handler), node.container(image, *FOREVER))
    protocol = "v4.channel.k8s.io"
    url = _exec_url(node, container, "sh", "-c", "read x; stty size; exit 5", tty=True, stdin=True)

    async def sizes() -> AsyncIterator[tuple[int, int]]:
        yield 101, 37

    async def typing() -> AsyncIterator[bytes]:
        look = ("sh", "-c", "for t in /dev/pts/[0-9]*; do stty size < $t; done")
        while b"37 101" not in (await asyncio.to_thread(node.exec, container, *look)).stdout:
            await asyncio.sleep(0.02)
        yield b"go\n"

    async def talk() -> tuple[int, bytes]:
        out = bytearray()

        async def to_out(data: bytes) -> None:
            out.extend(data)

        settings: Any = {"transport": transport, "protocols": (protocol,), "tty": True}
        run = run_command(url, stdin=typing(), stdout=to_out, sizes=sizes(), **settings)
        return await asyncio.wait_for(run, 20), bytes(out)

    code, out = asyncio.run(talk())
    assert code == 5 and b"37 101" in out


@pytest.mark.parametrize(("transport", "protocol"), [("spdy", "v4.channel.k8s.io"), ("websocket", "v5.channel.k8s.io")])
def test_34_attach(node: ConformanceNode, image: str, transport: Transport, protocol: str) -> None:
    script = "while read x; do echo got $x; [ $x = end ] && exit 3; done"
    container = node.run(node.run_pod(), node.container(image, "sh", "-c", script, stdin=True))
    url = str(node.cri.call("Attach", container_id=container, stdin=True, stdout=True, stderr=True).url)
    _, out, _ = asyncio.run(_run(url, transport, protocol, b"one\n", b"end\n"))
    assert out == b"got one\ngot end\n"
    assert node.wait_exit(container).exit_code == 3


def _web_server(node: ConformanceNode, image: str) -> str:
    """The streaming URL for the port of a web server in a pod."""
    pod = node.run_pod()
    script = "echo hello > /tmp/index.html; exec httpd -f -p 127.0.0.1:8080 -h /tmp"
    container = node.run(pod, node.container(image, "sh", "-c", script))
    fetch = ("wget", "-q", "-O", "-", "http://127.0.0.1:8080/")
    until(lambda: node.exec(container, *fetch).exit_code == 0, "httpd does not listen")
    return str(node.cri.call("PortForward", pod_sandbox_id=pod, port=[8080]).url)


@pytest.mark.parametrize("transport", ["spdy", "websocket"])
def test_34_port_forward(node: ConformanceNode, image: str, transport: Transport) -> None:
    """Over WebSocket this is SPDY in a tunnel, as kubectl does it."""
    url = _web_server(node, image)

    async def talk() -> list[bytes]:
        answers = []
        async with PortForward(url, transport=transport) as session:
            for _ in range(2):
                stream = await session.connect(8080)
                await stream.data.write(b"GET / HTTP/1.0\r\n\r\n")
                answers.append(await asyncio.wait_for(stream.data.read_all(), 20))
            closed = await session.connect(9)
            assert await asyncio.wait_for(closed.error_text(), 20), "a port where nobody listens is no error"
        return answers

    answers = asyncio.run(talk())
    assert all(answer.startswith(b"HTTP/1.") and answer.endswith(b"hello\n") for answer in answers), answers


@pytest.mark.parametrize("protocol", WEBSOCKET_PORT_DIALECTS)
def test_34_port_forward_over_numbered_channels(node: ConformanceNode, image: str, protocol: str) -> None:
    """The older WebSocket form: a data and an error channel for each port, which begin with the port's number."""
    url = _web_server(node, image)

    async def talk() -> bytes:
        connection = await upgrade(
            url, "websocket", (protocol,), lambda name: ChannelMux(WEBSOCKET_PORT_DIALECTS[name], 2, server=False)
        )
        data = connection.channel(0)
        answer = await data.read()
        await data.write(b"GET / HTTP/1.0\r\n\r\n")
        while not answer.endswith(b"hello\n"):
            answer += await asyncio.wait_for(data.read(), 20)
        await connection.close()
        return answer

    answer = asyncio.run(talk())
    assert answer[:2] == (8080).to_bytes(2, "little") and answer[2:].startswith(b"HTTP/1.")
