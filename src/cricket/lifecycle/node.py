"""What the node says of itself: CRI Status, RuntimeConfig and UpdateRuntimeConfig."""

from __future__ import annotations

import platform
import shutil
from collections.abc import AsyncIterator

import msgspec

from cricket import __version__
from cricket.lifecycle.parts import Parts
from cricket.types.event import Event
from cricket.types.node import CgroupDriver, Condition, NodeStatus


class NativeNode:
    """The `Node` part of the engine."""

    def __init__(self, parts: Parts) -> None:
        self._e = parts

    async def status(self, verbose: bool) -> NodeStatus:
        """Conditions, handlers and features; `verbose` adds the configuration and what was probed."""
        e = self._e
        return NodeStatus(
            conditions=(self._runtime_ready(), e.network.condition()),
            handlers=e.handlers.infos(),
            supplemental_groups_policy=True,
            mount_options=True,
            info=self._info() if verbose else {},
        )

    def _runtime_ready(self) -> Condition:
        problems = [h.problem for h in self._e.handlers.all() if h.name == self._e.handlers.default and h.problem]
        if not self._e.handlers.infos() or problems:
            message = problems[0] if problems else "no OCI runtime can be used on this host"
            return Condition("RuntimeReady", False, "RuntimeNotUsable", message)
        monitor = self._e.config.monitor.path
        if shutil.which(monitor) is None:
            return Condition("RuntimeReady", False, "MonitorMissing", f"{monitor} is not installed")
        return Condition("RuntimeReady", True)

    def _info(self) -> dict[str, str]:
        e = self._e
        handlers = {
            h.name: {"path": h.runtime.path, "problem": h.problem, **msgspec.to_builtins(h.features)}
            for h in e.handlers.all()
        }
        info = {
            "version": __version__,
            "kernel": platform.release(),
            "cgroupMode": str(e.cgroups.mode),
            "cgroupDriver": e.handlers.cgroup_driver.name.lower(),
            "defaultHandler": e.handlers.default,
            "handlers": handlers,
            "sandboxes": len(e.store.sandboxes),
            "containers": len(e.store.containers),
            "network": e.network.describe(),
            "warmSandboxes": e.warm.describe(),
        }
        return {"info": _json(info), "config": _json(msgspec.to_builtins(e.config))}

    def cgroup_driver(self) -> CgroupDriver:
        """The driver in use."""
        return self._e.handlers.cgroup_driver

    async def update_runtime_config(self, pod_cidr: str) -> None:
        """Hand the node's pod CIDR to the network."""
        await self._e.network.update_pod_cidr(pod_cidr)

    def events(self) -> AsyncIterator[Event]:
        """Container events from now on."""
        return self._e.events.subscribe()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
