"""What has become of Jobs: a small file for each, as a Job that is over must not begin anew when its pods are gone."""

from __future__ import annotations

import contextlib
import os

import msgspec

from cricket.kubelet.events import Events
from cricket.kubelet.job_decide import JobState
from cricket.kubelet.node import Node


class Jobs:
    """The states of Jobs by namespace/name, kept in ROOT/jobs."""

    def __init__(self, node: Node, events: Events) -> None:
        self._directory, self._events = os.path.join(node.root, "jobs"), events
        self._states: dict[str, JobState] = {}
        self._kept: set[str] | None = None

    def state(self, key: str) -> JobState:
        """What is remembered of a Job; nothing when there is nothing that can be read."""
        if key not in self._states:
            try:
                with open(self._path(key), "rb") as file:
                    self._states[key] = msgspec.json.decode(file.read(), type=JobState)
            except (OSError, msgspec.MsgspecError):
                return JobState()
        return self._states[key]

    def keep(self, key: str, state: JobState) -> None:
        """Remember; tell when the Job has ended."""
        before = self.state(key)
        if state == before:
            return
        self._states[key] = state
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, 0o700, exist_ok=True)
            with open(f"{self._path(key)}.new", "wb") as file:
                file.write(msgspec.json.encode(state))
            os.replace(f"{self._path(key)}.new", self._path(key))
        if state.condition == "Complete" != before.condition:
            self._events.add_job(key, state.identity, "Completed", "Job completed")
        elif state.condition == "Failed" != before.condition:
            self._events.add_job(key, state.identity, state.reason, state.message, warning=True)

    def forget_others(self, kept: set[str]) -> None:
        """Remove the files of Jobs that nobody wants any more. Idempotent."""
        if kept == self._kept:
            return
        self._kept = kept
        self._states = {key: state for key, state in self._states.items() if key in kept}
        files = {os.path.basename(self._path(key)) for key in kept}
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self._directory)) - files:
                os.unlink(os.path.join(self._directory, name))
            if not files:
                os.rmdir(self._directory)

    def failures(self) -> list[str]:
        """The Jobs that failed, for people."""
        failed = [(key, state) for key, state in sorted(self._states.items()) if state.condition == "Failed"]
        return [f"job {key}: {state.reason}: {state.message}" for key, state in failed]

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, f"{key.replace('/', '_')}.json")
