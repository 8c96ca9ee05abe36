"""A streaming server over real local processes and sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from streaming_localbackend import LocalBackend

from cricket.streaming.server import StreamServer


@pytest.fixture
def backend() -> LocalBackend:
    return LocalBackend()


@pytest.fixture
async def server(backend: LocalBackend) -> AsyncIterator[StreamServer]:
    server = StreamServer(backend, creation_timeout=0.3)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        assert all(process.closed for process in backend.processes)
