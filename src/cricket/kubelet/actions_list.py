"""The actions that a plan is made of, as values."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class RunSandbox(msgspec.Struct, frozen=True):
    """Make a sandbox."""

    attempt: int


class StartContainer(msgspec.Struct, frozen=True):
    """Pull, create, start. `ended`: when the one before it ended, 0 for the first."""

    name: str
    attempt: int
    sandbox_id: str
    ended: int = 0


class KillContainer(msgspec.Struct, frozen=True):
    """Stop with its preStop hook and grace; `grace` in seconds replaces the pod's."""

    id: str
    name: str
    message: str
    grace: int | None = None


class ResizeContainer(msgspec.Struct, frozen=True):
    """Change the resources of a running container."""

    id: str
    name: str


class ResizePod(msgspec.Struct, frozen=True):
    """Settle the resources of the whole pod, once its containers have theirs."""


class RemoveContainer(msgspec.Struct, frozen=True):
    """Remove a dead container, or one that was never started."""

    id: str


class StopSandbox(msgspec.Struct, frozen=True):
    """Stop a sandbox that should not be there."""

    id: str


class RemoveSandbox(msgspec.Struct, frozen=True):
    """Remove a sandbox with all that is in it."""

    id: str


class KillPod(msgspec.Struct, frozen=True):
    """Stop all containers, sidecars last, and the sandboxes. `why`: deleted, finished, sandbox changed."""

    why: str


class RemovePod(msgspec.Struct, frozen=True):
    """Remove all sandboxes, volumes and files: the pod is over."""


Action = (
    RunSandbox
    | StartContainer
    | KillContainer
    | ResizeContainer
    | ResizePod
    | RemoveContainer
    | StopSandbox
    | RemoveSandbox
    | KillPod
    | RemovePod
)


class Plan(msgspec.Struct, frozen=True):
    """Actions in order; why containers wait: (reason, message) by name; when to look again (0: when facts change)."""

    actions: tuple[Action, ...] = ()
    waiting: Mapping[str, tuple[str, str]] = {}
    wake_at: int = 0

    def waking(self, at: int) -> Plan:
        """The same, looked at again at `at` at the latest."""
        return msgspec.structs.replace(self, wake_at=min(self.wake_at or at, at))
