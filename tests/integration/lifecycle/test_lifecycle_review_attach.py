"""Attached clients that read nothing or write for ever: the container, its log and its exit code do not care."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.node import Node, until

pytestmark = pytest.mark.root


@contextlib.contextmanager
def _attached(node: Node, container: str, **streams: bool) -> Iterator[socket.socket]:
    """A WebSocket session, up to the end of the handshake; nothing is read after that."""
    url = node.cri.call("Attach", container_id=container, **streams).url
    host, _, path = url.removeprefix("http://").partition("/")
    address, _, port = host.rpartition(":")
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection((address, int(port))) as sock:
        sock.settimeout(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n".encode()
        )
        assert b" 101 " in sock.recv(64)
        yield sock


def test_a_client_that_reads_nothing_is_let_go(pods: Node, busybox_ref: str) -> None:
    script = 'read start; seq -w 300000 | sed "s/$/ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/"; exit 5'
    config = pods.container(busybox_ref, "sh", "-c", script, stdin=True)
    container = pods.run(pods.run_pod(), config)
    with _attached(pods, container, stdin=True, stdout=True) as client:
        began = time.monotonic()
        client.sendall(_masked(b"\x00start\n"))
        status = pods.wait_exit(container, 40)
        assert time.monotonic() - began > 5, "the client did not hold it up, so this tests nothing"
    assert (status.exit_code, status.reason) == (5, "Error")
    log = Path(status.log_path)
    until(lambda: b"300000 xxx" in log.read_bytes()[-200:], "the log is not whole")
    assert "is let go" in pods.daemon.log()


def test_input_that_nobody_reads_stops_neither_output_nor_exit(pods: Node, busybox_ref: str) -> None:
    script = "trap 'exit 6' TERM; while :; do date; sleep 0.1; done"
    container = pods.run(pods.run_pod(), pods.container(busybox_ref, "sh", "-c", script, stdin=True))
    log = Path(pods.status(container).log_path)
    with _attached(pods, container, stdin=True, stdout=True) as client:
        client.settimeout(1)
        with contextlib.suppress(TimeoutError):
            for _ in range(200):
                client.sendall(_masked(b"\x00" + b"x" * 60_000))
        before = log.stat().st_size
        until(lambda: log.stat().st_size > before, "the output stands still", 5)
        pods.cri.call("StopContainer", container_id=container, timeout=5)
    assert pods.status(container).exit_code == 6


def _masked(payload: bytes) -> bytes:
    """A binary message of a client (RFC 6455 5.2), with a mask of zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x82" + size + bytes(4) + payload
