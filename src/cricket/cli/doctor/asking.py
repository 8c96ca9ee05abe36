"""What the runtime at the endpoint says of itself; Cricket's daemon says most, in its verbose status."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from cricket.errors import Code, CricketError

_LIMIT = 3.0  # seconds for each question


class Condition(NamedTuple):
    """A condition of CRI's Status."""

    type: str
    status: bool
    message: str


class Runtime(NamedTuple):
    """A runtime that answers. `config`, `handlers` and `pid` are what only Cricket tells; empty and 0 for others."""

    name: str
    version: str
    conditions: tuple[Condition, ...]
    sandboxes: frozenset[str]
    containers: frozenset[str]
    config: dict[str, Any]
    handlers: dict[str, Any]
    default_handler: str
    cgroup_driver: str
    path: str
    pid: int


def ask(endpoint: str) -> Runtime:
    """Ask. Raises as `Client` does."""
    from cricket.client.connection import Client

    with Client(endpoint, _LIMIT) as client:
        version = client.call("Version", version="v1")
        status = client.call("Status", verbose=True)
        told: dict[str, Any] = {}
        config: dict[str, Any] = {}
        pid, path = 0, ""
        try:
            side = client.call("Info")
            pid, path = side.pid, side.facts.get("configuration", "")
            told, config = json.loads(status.info["info"]), json.loads(status.info["config"])
        except CricketError as error:
            if error.code is not Code.UNIMPLEMENTED:  # not Cricket
                raise
        return Runtime(
            version.runtime_name,
            version.runtime_version,
            tuple(Condition(c.type, c.status, c.message) for c in status.status.conditions),
            frozenset(item.id for item in client.call("ListPodSandbox").items),
            frozenset(item.id for item in client.call("ListContainers").containers),
            config,
            told.get("handlers", {}),
            told.get("defaultHandler", ""),
            told.get("cgroupDriver", ""),
            path,
            pid,
        )
