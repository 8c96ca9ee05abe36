"""Warm sandboxes as they lie on the machine."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.node import until
from vm_node import VmNode, systemctl

SIZE = 2
DROP_IN = Path("/etc/cricket/config.toml.d/60-warm.toml")
_SANDBOXES = Path("/run/cricket/sandboxes")
_PLACES = (_SANDBOXES, Path("/var/lib/cni/networks/cricket"), Path("/var/lib/cricket/network/results"))


def switch_on(node: VmNode) -> None:
    """The service is to keep a pool, from now on."""
    DROP_IN.parent.mkdir(exist_ok=True)
    DROP_IN.write_text(f"[network]\nwarm_sandboxes = {SIZE}\n")
    systemctl("restart", "cricket")
    node.connect()


def switch_off() -> None:
    """It is to keep none, now."""
    DROP_IN.unlink()
    systemctl("reload-or-restart", "cricket")
    until(lambda: not ready(), "the pool stays", 60)


@contextlib.contextmanager
def pool(node: VmNode) -> Iterator[None]:
    """While this is there, the service has one."""
    switch_on(node)
    try:
        yield
    finally:
        switch_off()


def ready() -> set[str]:
    """The ids of those that no pod has."""
    return {file.parent.name for file in _SANDBOXES.glob("*/warm")}


def full() -> set[str]:
    """Wait until there are as many as there should be; their ids."""
    until(lambda: len(ready()) == SIZE, "the pool is not filled", 60)
    return ready()


def traces() -> list[str]:
    """What there is of sandboxes without pods: directories, addresses, cached results, links, mounts."""
    found = [str(path) for place in _PLACES for path in place.glob("*")]
    found = [path for path in found if not path.endswith("/lock") and "last_reserved_ip" not in path]
    return found + _ports() + [point for point in _mounts() if point.startswith(f"{_SANDBOXES}/")]


def traces_of(ids: set[str]) -> list[str]:
    """What names one of these sandboxes: directories, reservations of addresses, cached results."""
    found = [path for place in _PLACES for path in place.glob("*")]
    texts = {str(path): path.read_text() if path.is_file() else "" for path in found}
    return [name for name, text in texts.items() if any(each in name + text for each in ids)]


def _ports() -> list[str]:
    links = subprocess.run(["ip", "-o", "link", "show", "type", "veth"], check=True, capture_output=True, text=True)
    return links.stdout.splitlines()


def _mounts() -> list[str]:
    return [line.split(" ", 5)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
