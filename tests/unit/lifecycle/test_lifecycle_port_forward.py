"""Connecting to a port of a pod; here in the host's network."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cricket.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from cricket.lifecycle import port_forward
from cricket.store.store import Store
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    store = Store(str(tmp_path / "state.db"))
    for state in (SandboxState.READY, SandboxState.STOPPED):
        config = SandboxConfig(metadata=SandboxMetadata(name=state.value, uid="u", namespace="n"))
        store.put(Sandbox(f"{state.value}-id", config, "", state, 1, "boot"))
    yield SimpleNamespace(store=store)
    store.close()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_either_family_answers(engine: Any, family: int, address: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen()
        connected = await port_forward.connect(engine, "ready", listener.getsockname()[1])
        with connected, listener.accept()[0] as accepted:
            assert not connected.getblocking()
            accepted.sendall(b"hello")
            assert await asyncio.get_running_loop().sock_recv(connected, 10) == b"hello"


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_no_such_port(engine: Any, port: int) -> None:
    with pytest.raises(InvalidArgument):
        await port_forward.connect(engine, "ready", port)


async def test_nobody_listens_and_nobody_is_ready(engine: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match=str(taken.getsockname()[1])):
            await port_forward.connect(engine, "ready", taken.getsockname()[1])
    with pytest.raises(FailedPrecondition, match="stopped"):
        await port_forward.connect(engine, "stopped", 80)
    with pytest.raises(NotFound):
        await port_forward.connect(engine, "nosuch", 80)
