"""A runtime in a few lines: it does what plans say, at once, and its containers end when the test says so."""

from __future__ import annotations

import itertools

from msgspec.structs import replace

from cricket.kubelet import backoff
from cricket.kubelet.actions import Health, Situation, decide
from cricket.kubelet.actions_list import (
    Action,
    KillContainer,
    KillPod,
    Plan,
    RemoveContainer,
    RemovePod,
    RemoveSandbox,
    ResizeContainer,
    ResizePod,
    RunSandbox,
    StartContainer,
    StopSandbox,
)
from cricket.kubelet.loop_records import SECOND, ContainerRecord, Records, SandboxRecord, State, records
from cricket.kubelet.model.base import ObjectMeta
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod, PodSpec
from cricket.kubelet.sizes import effective


def pod(*containers: Container, init: tuple[Container, ...] = (), policy: str = "Always", **spec: object) -> Pod:
    """A pod named default/web."""
    made = PodSpec(containers, init, restart_policy=policy, **spec)  # type: ignore[arg-type]  # fields of PodSpec
    return Pod(ObjectMeta(name="web", namespace="default", uid="u1"), made)


class World:
    """A pod, the model's runtime, and an agent that may forget everything but what it saved."""

    def __init__(self, wanted: Pod) -> None:
        self.pod, self.now, self.ending, self.gone = wanted, 1_000 * SECOND, False, False
        self.boxes: dict[str, SandboxRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.health: dict[str, Health] = {}
        self.waits: dict[str, backoff.Entry] = {}
        self.applied: dict[str, ResourceRequirements] = {}
        self.done: list[Action] = []
        self.started_at = self.now
        self.settled: Pod | None = None
        self._ids = itertools.count()

    def records(self) -> Records:
        return records(self.boxes.values(), self.containers.values())

    def situation(self) -> Situation:
        running = {r.id for r in self.containers.values() if r.state is State.RUNNING}
        health = {key: self.health.get(key, Health()) for key in running}
        return Situation(
            self.pod,
            self.records(),
            health=health,
            waits=self.waits,
            applied=self.applied,
            started_at=self.started_at,
            ending=self.ending,
            settled=self.settled,
        )

    def step(self, most: int = 1000) -> Plan:
        """One plan, of which the first `most` actions are done."""
        plan = decide(self.situation(), self.now)
        for action in plan.actions[:most]:
            self.now += 1_000_000
            self.do(action)
        return plan

    def settle(self) -> Plan:
        """Plans until there is nothing to do."""
        for _ in range(200):
            plan = self.step()
            if not plan.actions or self.gone:
                return plan
        raise AssertionError(f"it does not come to rest: {self.done[-10:]}")

    def do(self, action: Action) -> None:
        self.done.append(action)
        if isinstance(action, RunSandbox):
            assert not any(box.ready for box in self.boxes.values()), "two sandboxes at a time"
            key = f"box{next(self._ids)}"
            self.boxes[key] = SandboxRecord(key, True, action.attempt, self.now, ("10.0.0.9",))
            self.settled = self.pod
        elif isinstance(action, StartContainer):
            self.start(action)
        elif isinstance(action, KillContainer):
            self.exit(action.id, 137)
        elif isinstance(action, KillPod):
            for key in list(self.containers):
                self.exit(key, 137)
            for key in list(self.boxes):
                self.stop_box(key)
        elif isinstance(action, StopSandbox):
            self.stop_box(action.id)
        elif isinstance(action, RemoveContainer):
            assert self.containers.pop(action.id).state is not State.RUNNING, "a running container was removed"
        elif isinstance(action, RemoveSandbox):
            self.remove_box(action.id)
        elif isinstance(action, ResizeContainer):
            spec = next(c for c in self.pod.containers() if c.name == action.name)
            self.applied[action.id] = effective(self.pod, spec)
        elif isinstance(action, ResizePod):
            self.settled = self.pod
        elif isinstance(action, RemovePod):
            for key in list(self.boxes):
                self.remove_box(key)
            self.gone = True

    def start(self, action: StartContainer, state: State = State.RUNNING) -> None:
        assert self.boxes[action.sandbox_id].ready, "a container in a dead sandbox"
        assert not any(r.name == action.name and r.alive for r in self.containers.values()), "the container runs twice"
        if action.ended:
            self.waits[action.name] = backoff.after(self.waits, action.name, action.ended, self.now)
        key = f"c{next(self._ids)}"
        self.containers[key] = ContainerRecord(
            key, action.name, action.sandbox_id, action.attempt, state, created_at=self.now, started_at=self.now
        )
        self.applied[key] = effective(self.pod, next(c for c in self.pod.containers() if c.name == action.name))

    def exit(self, key: str, code: int) -> None:
        record = self.containers[key]
        if record.alive:
            self.containers[key] = replace(record, state=State.EXITED, exit_code=code, finished_at=self.now)

    def exit_named(self, name: str, code: int) -> None:
        self.exit(self.running()[name].id, code)

    def stop_box(self, key: str) -> None:
        self.boxes[key] = replace(self.boxes[key], ready=False)
        for record in list(self.containers.values()):
            if record.sandbox_id == key:
                self.exit(record.id, 137)

    def remove_box(self, key: str) -> None:
        self.stop_box(key)
        del self.boxes[key]
        self.containers = {k: r for k, r in self.containers.items() if r.sandbox_id != key}

    def running(self) -> dict[str, ContainerRecord]:
        return {r.name: r for r in self.containers.values() if r.state is State.RUNNING}

    def names(self) -> list[str]:
        """The containers that were started, in order."""
        return [action.name for action in self.done if isinstance(action, StartContainer)]

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
