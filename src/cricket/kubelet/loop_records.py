"""What CRI tells about a pod, as values: the facts that the agent decides upon. Times are Unix nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import msgspec

SECOND = 1_000_000_000


class State(Enum):
    """A container's state, as CRI has it."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class SandboxRecord(msgspec.Struct, frozen=True):
    """A sandbox; `attempt` counts the sandboxes of a pod from 0."""

    id: str
    ready: bool
    attempt: int = 0
    created_at: int = 0
    ips: tuple[str, ...] = ()


class ContainerRecord(msgspec.Struct, frozen=True):
    """A container; `attempt` counts its restarts. `termination_log` is the host's path of its message file,
    `resources` what it was created with (JSON)."""

    id: str
    name: str
    sandbox_id: str
    attempt: int
    state: State
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    log_path: str = ""
    termination_log: str = ""
    resources: str = ""

    @property
    def alive(self) -> bool:
        """Whether it has, or may have, processes."""
        return self.state in (State.RUNNING, State.UNKNOWN)


class Records(msgspec.Struct, frozen=True):
    """The sandboxes and containers of one pod, newest first."""

    sandboxes: tuple[SandboxRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()

    def of(self, name: str) -> list[ContainerRecord]:
        """The containers with this name, newest first."""
        return [record for record in self.containers if record.name == name]

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container with this name, of whichever sandbox."""
        return next((record for record in self.containers if record.name == name), None)

    def exited(self, name: str) -> ContainerRecord | None:
        """The newest dead container with this name."""
        return next((r for r in self.containers if r.name == name and r.state is State.EXITED), None)

    @property
    def alive(self) -> bool:
        """Whether anything of the pod is still there that has to be stopped."""
        return any(box.ready for box in self.sandboxes) or any(c.alive for c in self.containers)


def records(sandboxes: Iterable[SandboxRecord], containers: Iterable[ContainerRecord]) -> Records:
    """Records in their order."""
    return Records(
        tuple(sorted(sandboxes, key=lambda box: (box.attempt, box.created_at), reverse=True)),
        tuple(sorted(containers, key=lambda c: (c.created_at, c.attempt), reverse=True)),
    )
