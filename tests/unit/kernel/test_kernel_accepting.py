"""Closing a server at the moment when clients come."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from pathlib import Path

import pytest

from cricket.kernel.accepting import stop_accepting


class Counted(asyncio.Protocol):
    """Counts transports, and closes them."""

    made: list[asyncio.BaseTransport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(transport)
        transport.close()


@pytest.mark.parametrize("turns", range(5))
async def test_what_was_accepted_has_a_transport(tmp_path: Path, turns: int) -> None:
    Counted.made.clear()
    gc.collect()
    server = await asyncio.get_running_loop().create_unix_server(Counted, str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.connect(str(tmp_path / "s"))
        for _ in range(turns):
            await asyncio.sleep(0)
        await stop_accepting(server)
        await asyncio.sleep(0)
        assert len(Counted.made) == 1 or turns < 2
        Counted.made.clear()
        gc.collect()
    assert [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)] == []
