"""Port forwarding: a connection to a port inside the sandbox's network namespace, made without a helper process."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from cricket.errors import FailedPrecondition, InvalidArgument, Unavailable
from cricket.kernel.namespaces import in_netns
from cricket.lifecycle.parts import Parts
from cricket.types.sandbox import SandboxState
from cricket.types.stage import stage


async def connect(e: Parts, sandbox_id: str, port: int) -> socket.socket:
    """A connected, non-blocking socket to localhost:`port` of the pod; IPv4 first, then IPv6.

    Raises NotFound, FailedPrecondition when the sandbox is not ready, Unavailable when nothing listens.
    """
    if not 0 < port < 65536:
        raise InvalidArgument(f"{port} is no port", where="port")
    box = e.store.sandbox(sandbox_id)
    if box.state is not SandboxState.READY:
        raise FailedPrecondition(f"the sandbox is {box.state}, not ready", where=box.id)
    with stage("connecting in the sandbox", box.id):
        failure: OSError | None = None
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                return await _connect(box.netns, family, address, port)
            except OSError as error:
                failure = failure or error
        raise Unavailable(f"nothing answers at port {port} of the pod", where=box.id) from failure


async def _connect(netns: str, family: int, address: str, port: int) -> socket.socket:
    def make() -> socket.socket:
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    # A socket stays in the namespace in which it was made; connecting it is then our event loop's business.
    sock = in_netns(netns, make) if netns else make()
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (address, port)), 10.0)
    except TimeoutError as error:
        sock.close()
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error
    except BaseException:
        sock.close()
        raise
    return sock
