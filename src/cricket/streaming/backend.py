"""What the streaming server needs of an engine."""

from __future__ import annotations

import socket
from typing import Protocol

from cricket.types.streams import AttachRequest, ExecRequest, Process


class Backend(Protocol):
    """Starts processes and connects to ports. Methods raise `CricketError` kinds, and may be cancelled."""

    async def exec(self, request: ExecRequest) -> Process:
        """Start `request.cmd` in the container; without `request.stdin` it gets an empty stdin."""

    async def attach(self, request: AttachRequest) -> Process:
        """Attach to the container's first process."""

    async def connect(self, sandbox_id: str, port: int) -> socket.socket:
        """A connected, non-blocking TCP socket that lives in the network namespace of the sandbox."""
