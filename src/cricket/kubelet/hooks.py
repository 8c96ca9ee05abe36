"""postStart and preStop: what is run beside a container's beginning and before its end (lifecycle/handlers.go)."""

from __future__ import annotations

import asyncio

from cricket.client.errors import RemoteError
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.probe import LifecycleHandler
from cricket.kubelet.probe_http import connects, get, port_of
from cricket.kubelet.probe_run import execute

AGENT = "kube-lifecycle/cricket"
_HTTP_LIMIT = 60.0


async def run_hook(cri: Cri, container: Container, container_id: str, hook: LifecycleHandler, ip: str) -> str:
    """Run it to its end; "" when it went well, else why not. The caller limits the time."""
    try:
        if hook.exec is not None:
            done, words = await execute(cri, container_id, hook.exec, 0)
        elif hook.http_get is not None:
            action = hook.http_get
            done, words = await get(action, action.host or ip, port_of(container, action.port), AGENT, _HTTP_LIMIT)
        elif hook.tcp_socket is not None:
            host = hook.tcp_socket.host or ip
            done, words = await connects(host, port_of(container, hook.tcp_socket.port), _HTTP_LIMIT)
        else:
            await asyncio.sleep(hook.sleep.seconds if hook.sleep is not None else 0)
            return ""
    except ValueError as error:
        return str(error)
    except RemoteError as error:
        return error.what
    return "" if done else words or "it failed"
