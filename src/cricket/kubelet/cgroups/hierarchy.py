"""Where cgroups are mounted, and what can be done there: make, limit, empty, remove. All of it blocks.

Only paths that the caller names are touched; above them, on cgroup v2, controllers are switched on, without which a
limit has no file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

import msgspec

from cricket.kubelet.cgroups.limits import Limits, v1_files, v2_files

MOUNTINFO = "/proc/self/mountinfo"
_V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "hugetlb", "pids")
_PATIENCE, _PAUSE = 3.0, 0.02
"""Seconds that processes have to end by themselves, as many again once they were killed; and between two looks."""


class Hierarchy(msgspec.Struct, frozen=True):
    """A mounted hierarchy: its controllers on v1, none on v2."""

    mount: str
    controllers: frozenset[str] = frozenset()
    unified: bool = False


def hierarchies(mountinfo: str = MOUNTINFO) -> tuple[Hierarchy, ...]:
    """All of this host, each once: of several mounts of one, that with the shortest path. Raises OSError."""
    found: dict[tuple[bool, frozenset[str]], Hierarchy] = {}
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            kind, _, options = (after.split() + ["", "", ""])[:3]
            if kind not in ("cgroup", "cgroup2"):
                continue
            names = (
                frozenset()
                if kind == "cgroup2"
                else frozenset(options.split(",")) - {"rw", "ro", "xattr", "clone_children"}
            )
            made = Hierarchy(before.split()[4], names, kind == "cgroup2")
            key = made.unified, names
            if key not in found or len(made.mount) < len(found[key].mount):
                found[key] = made
    return tuple(found.values())


class Tree:
    """The cgroups of a host. Paths are those of cgroups ("/kubepods/burstable/pod1"), the same in each hierarchy."""

    def __init__(self, found: tuple[Hierarchy, ...]) -> None:
        self.all = found
        v1 = tuple(hierarchy for hierarchy in found if not hierarchy.unified)
        self.unified = not v1
        # On a hybrid host the limits are in the v1 hierarchies; runtimes make directories in the other one, too.
        self._used = v1 or found

    def make(self, path: str) -> None:
        """Make the cgroup and those above it. Idempotent. Raises OSError."""
        for hierarchy in self._used:
            at = hierarchy.mount
            for part in path.strip("/").split("/"):
                if hierarchy.unified:
                    _switch_on(at)
                made, above = f"{at}/{part}", at
                with contextlib.suppress(FileExistsError):
                    os.mkdir(made, 0o755)
                if "cpuset" in hierarchy.controllers:
                    _inherit_cpuset(made, above)
                at = made

    def write(self, path: str, limits: Limits) -> None:
        """Set the limits; files that this kernel does not have are left out. Raises OSError."""
        files = v2_files(limits) if self.unified else v1_files(limits)
        for controller, name, text in files:
            for hierarchy in self._used:
                if hierarchy.unified or controller in hierarchy.controllers:
                    with contextlib.suppress(FileNotFoundError):
                        _write(f"{hierarchy.mount}{path}/{name}", text)

    def exists(self, path: str) -> bool:
        """Whether it is there in any hierarchy."""
        return any(os.path.isdir(hierarchy.mount + path) for hierarchy in self.all)

    def children(self, path: str) -> set[str]:
        """The names of the cgroups in it, of any hierarchy."""
        found = set[str]()
        for hierarchy in self.all:
            with contextlib.suppress(OSError), os.scandir(hierarchy.mount + path) as entries:
                found |= {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
        return found

    def remove(self, path: str) -> None:
        """Remove the cgroup with all below it. What still runs there has a few seconds to end, then it is killed.
        Idempotent. Raises OSError when it cannot be removed."""
        until = time.monotonic() + _PATIENCE
        for hierarchy in self.all:
            top, killed = hierarchy.mount + path, False
            while (left := _remove_below(top)) is not None:
                if time.monotonic() > until:
                    if killed:
                        raise left
                    _kill(top)
                    killed, until = True, time.monotonic() + _PATIENCE
                time.sleep(_PAUSE)

    def remove_empty(self, path: str) -> None:
        """Remove the cgroup where it has neither processes nor cgroups. Idempotent."""
        for hierarchy in self.all:
            with contextlib.suppress(OSError):
                os.rmdir(hierarchy.mount + path)


def _switch_on(directory: str) -> None:
    """Every controller that limits, as far as the kernel allows it here."""
    for name in _V2_CONTROLLERS:
        with contextlib.suppress(OSError):
            _write(f"{directory}/cgroup.subtree_control", f"+{name}")


def _inherit_cpuset(directory: str, above: str) -> None:
    """On v1 a cpuset begins empty, and takes no process then."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(OSError):
            if not _read(f"{directory}/{name}").strip():
                _write(f"{directory}/{name}", _read(f"{above}/{name}"))


def _remove_below(top: str) -> OSError | None:
    """Remove what can be; why not all of it, if so."""
    why = None
    for directory, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            why = error
    return why


def _kill(top: str) -> None:
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            for line in _read(f"{directory}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    if int(line):
                        os.kill(int(line), signal.SIGKILL)


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # what is not there is not to be made
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
