"""What a daemon has left on the machine: everything that its objects are made of, found without asking it."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from harness.network import TestNetwork
from harness.warm import WarmOne, troubles, warm_ones

_WORKER = "import cricket.images.worker"
Left = dict[str, list[str]]
"""Kind of thing to what there is of it; kinds of which there is nothing are absent."""


class LeakCheck:
    """Looks at one daemon's directories, network, cgroups and processes (marked with `token`).

    `token` is in the daemon's environment, which its children inherit, and names the cgroup parent of all pods.
    """

    def __init__(self, root: Path, state: Path, network: TestNetwork, token: str) -> None:
        self.root, self.state, self.network, self.token = root, state, network, token
        self.spared_pod = ""
        """Name of a pod whose processes are not told: they come and go."""

    def left(self, *, images: bool = False, ignore_pid: int = 0) -> Left:
        """All that is there now but warm sandboxes. With `images` also what images consist of.

        `ignore_pid`: the daemon, which may run.
        """
        found = {
            "record": self.records(),
            "mount": self.mounts(),
            "process": self.processes(ignore_pid),
            "cgroup": self.cgroups(),
            "CNI address": self.network.reserved(),
            "CNI cache": _names(self.root / "network" / "results"),
            "bridge port": self.network.ports(),
            "sandbox directory": _names(self.state / "sandboxes"),
            "bundle": _names(self.state / "containers"),
            "runtime state": [name for handler in _paths(self.state / "runtime") for name in _names(handler)],
            "exit file": _names(self.state / "exits"),
            "checkpoint": _names(self.root / "checkpoints"),
            "snapshot": _names(self.root / "images" / "active"),
            "staging": _names(self.root / "images" / "staging"),
            "trash": _names(self.root / "images" / "trash"),
            "lease": _names(self.root / "images" / "leases"),
        }
        if images:
            found |= {
                "blob": _names(self.root / "images" / "blobs" / "sha256"),
                "partial blob": _names(self.root / "images" / "ingest"),
                "layer": _names(self.root / "images" / "layers"),
                "layer link": _names(self.root / "images" / "l"),
                "image": _rows(self.root / "images" / "images.db", "SELECT id FROM images"),
            }
        waiting = self.warm()
        found = {kind: [n for n in names if not any(w.owns(n) for w in waiting)] for kind, names in found.items()}
        if not any(found.values()):
            # The slowest question last: its answer is rarely the only one.
            found["firewall rule"] = self.rules(waiting)
        return {kind: names for kind, names in found.items() if names}

    def warm(self) -> list[WarmOne]:
        """The warm sandboxes, which are no leaks: what belongs to them is not among what is left."""
        return warm_ones(self.state, self.records())

    def rules(self, waiting: list[WarmOne] | None = None) -> list[str]:
        """Firewall rules of this network but for those of warm sandboxes."""
        waiting = self.warm() if waiting is None else waiting
        return [rule for rule in self.network.rules() if not any(w.owns(rule) for w in waiting)]

    def warm_troubles(self) -> list[str]:
        """What is missing of warm sandboxes."""
        mounts = self.mounts()
        return [
            f"{one.id}: {what}"
            for one in self.warm()
            for what in troubles(one, self.state, self.root, self.network, mounts)
        ]

    def records(self) -> list[str]:
        """Sandboxes and containers in the store."""
        return _rows(self.root / "state.db", "SELECT kind || ' ' || id || ' ' || body FROM records")

    def mounts(self) -> list[str]:
        """Mount points below our directories: root file systems, pins, shm."""
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
            points = [line.split(" ", 5)[4] for line in f]
        return [p for p in points if p.startswith((f"{self.root}/", f"{self.state}/"))]

    def processes(self, ignore_pid: int = 0) -> list[str]:
        """ "pid command" of monitors, runtimes, plugins, workers, and everything in the pods' cgroups."""
        found = []
        for pid in _pids():
            if pid in (ignore_pid, os.getpid()):
                continue
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if self._is_ours(pid, command):
                    found.append(f"{pid} {command}".strip())
        return found

    def _is_ours(self, pid: int, command: str) -> bool:
        if not command and _is_inits_zombie(pid):
            return False
        if _WORKER in command:
            return False  # one waits for the next pull; one that works has a lease
        if f"{self.state}/" in command or f"{self.root}/" in command:
            return True
        cgroups = Path(f"/proc/{pid}/cgroup").read_text()
        if self.spared_pod and f"{self.token}/{self.spared_pod}/" in cgroups:
            return False
        if self.token in cgroups:
            return True
        return f"CRICKET_TEST={self.token}".encode() in Path(f"/proc/{pid}/environ").read_bytes()

    def cgroups(self) -> list[str]:
        """Cgroups of containers below our pods' parent, in every hierarchy."""
        found = []
        for base in (Path("/sys/fs/cgroup"), *_paths(Path("/sys/fs/cgroup"))):
            for directory, names, _ in os.walk(base / self.token):
                found += [os.path.join(directory, name) for name in names if len(name) >= 64]
        return sorted(found)

    def remove_cgroups(self) -> None:
        """Remove the pods' cgroups, as the kubelet does when pods are gone."""
        for base in (Path("/sys/fs/cgroup"), *_paths(Path("/sys/fs/cgroup"))):
            for directory, _, _ in os.walk(base / self.token, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def describe(left: Left) -> str:
    """For a failed assertion: one line a kind, with the first four of each."""
    return "\n".join(f"  {len(names)} {kind}: {', '.join(map(_short, names[:4]))}" for kind, names in left.items())


def _short(name: str) -> str:
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", name)[:200]


def _is_inits_zombie(pid: int) -> bool:
    """Dead, and nobody's child but init's, who will reap it when he likes."""
    state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    return state == "Z" and parent == "1"


def _paths(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _rows(database: Path, query: str) -> list[str]:
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [str(row[0]) for row in connection.execute(query)]
