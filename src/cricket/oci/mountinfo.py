"""Propagation of the host's mounts, from /proc/self/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

import re

import msgspec

from cricket.errors import FailedPrecondition
from cricket.oci.check import within
from cricket.types.container import Propagation


class HostMount(msgspec.Struct, frozen=True):
    """A mount of the host: where, and its tags ("shared:1", "master:2")."""

    point: str
    tags: tuple[str, ...]

    def is_shared(self) -> bool:
        """What is mounted below it shows up in its peers."""
        return any(t.startswith("shared:") for t in self.tags)

    def is_slave(self) -> bool:
        """It receives from a master."""
        return any(t.startswith("master:") for t in self.tags)


def parse(text: str) -> list[HostMount]:
    """The lines of a mountinfo file, in its order."""
    found = []
    for line in text.split("\n"):  # nothing else ends a line; names may hold what str.splitlines() takes for one
        fields = line.split(" ")
        if len(fields) > 6 and "-" in fields[6:]:
            found.append(HostMount(_unescape(fields[4]), tuple(fields[6 : fields.index("-", 6)])))
    return found


def mount_of(path: str, mounts: list[HostMount]) -> HostMount:
    """The mount that a real, absolute path lies on; of mounts at one place the last is on top."""
    best = HostMount("/", ())
    for mount in mounts:
        if within(path, mount.point) and len(mount.point) >= len(best.point):
            best = mount
    return best


def check_propagation(source: str, wanted: Propagation, mounts: list[HostMount]) -> None:
    """Raises FailedPrecondition when nothing could propagate as wanted, because `source` is not on such a mount."""
    if wanted == Propagation.PRIVATE:
        return
    mount = mount_of(source, mounts)
    if mount.is_shared() or (wanted == Propagation.HOST_TO_CONTAINER and mount.is_slave()):
        return
    kind = "shared" if wanted == Propagation.BIDIRECTIONAL else "shared or slave"
    raise FailedPrecondition(
        f"{wanted.name} propagation needs a {kind} mount, but {source} lies on {mount.point}, which is none",
        where="mounts.propagation",
        todo=f"On the host: mount --make-rshared {mount.point}",
    )


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text) if "\\" in text else text
