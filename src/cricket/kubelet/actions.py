"""What is to be done about a pod: the kubelet's computePodActions as a function of the facts (kuberuntime_manager.go).

`decide` knows nothing but its arguments. What it returns is done in order; then the pod is looked at anew. An empty
plan means that nothing is to be done before `wake_at` or before the facts change.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.kubelet import backoff
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
from cricket.kubelet.actions_outcome import deadline, outcome, policy_of, restarts
from cricket.kubelet.loop_records import ContainerRecord, Records, SandboxRecord, State
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.sizes import effective, sizes

CRASH_LOOP = "CrashLoopBackOff"


class Health(msgspec.Struct, frozen=True):
    """What the probes of a running container have found. `failed` is "", "liveness" or "startup"; `grace` the probe's
    own grace period in seconds."""

    started: bool = True
    ready: bool = True
    failed: str = ""
    grace: int | None = None


class Situation(msgspec.Struct, frozen=True):
    """All that is known of a pod. `health` and `applied` are by container id, `waits` (the back-offs) by name."""

    pod: Pod
    records: Records = Records()
    health: Mapping[str, Health] = {}
    waits: Mapping[str, backoff.Entry] = {}
    limits: backoff.Limits = backoff.Limits()
    applied: Mapping[str, ResourceRequirements] = {}
    started_at: int = 0
    ending: bool = False
    settled: Pod | None = None
    """The pod with the resources that the whole of it has; None when that is not known."""

    def healthy(self, record: ContainerRecord) -> Health:
        """The health of a container; one that was not probed yet has not started."""
        return self.health.get(record.id, Health(started=False, ready=False))


def decide(now_is: Situation, now: int) -> Plan:
    """The actions that bring the pod nearer to what it should be, at `now` (Unix nanoseconds)."""
    s, limit = now_is, deadline(now_is.pod, now_is.started_at)
    if s.ending:
        if s.records.alive:
            return Plan((KillPod("deleted"),))
        return Plan((RemovePod(),))
    if outcome(s.pod, s.records, s.started_at, now):
        return Plan((KillPod("finished"),)) if s.records.alive else Plan(_rubbish(s.records))
    box = s.records.sandboxes[0] if s.records.sandboxes else None
    if box is None or not box.ready:
        actions: list[Action] = [KillPod("sandbox changed")] if s.records.alive else []
        plan = Plan((*actions, RunSandbox(box.attempt + 1 if box else 0)))
    else:
        plan = _Draft(s, box, now).plan()
    return plan.waking(limit) if limit else plan


class _Draft:
    """A plan for the containers in a sandbox that is ready, while it is made."""

    def __init__(self, s: Situation, box: SandboxRecord, now: int) -> None:
        self.s, self.box, self.now = s, box, now
        self.actions: list[Action] = []
        self.waiting: dict[str, tuple[str, str]] = {}
        self.wake_at = 0
        self.resizes = False

    def plan(self) -> Plan:
        """The plan."""
        records = self.s.records
        self.actions += [StopSandbox(box.id) for box in records.sandboxes[1:] if box.ready]
        if self._inits():
            for container in self.s.pod.spec.containers:
                self._keep(container, restarts(self.s.pod, container, records.exited(container.name)))
        if self.s.settled is not None and sizes(self.s.settled) != sizes(self.s.pod) and not self.resizes:
            self.actions.append(ResizePod())
        self.actions += _rubbish(records)
        return Plan(tuple(self.actions), self.waiting, self.wake_at)

    def _here(self, name: str) -> ContainerRecord | None:
        record = self.s.records.latest(name)
        return record if record is not None and record.sandbox_id == self.box.id else None

    def _inits(self) -> bool:
        """Bring the init containers forward; whether the others may run."""
        initialized = any(self._here(container.name) for container in self.s.pod.spec.containers)
        for container in self.s.pod.spec.init_containers:
            record = self._here(container.name)
            if container.sidecar:
                self._keep(container, True)
                if initialized:
                    continue
                if record is None or record.state is not State.RUNNING or not self.s.healthy(record).started:
                    return False
            elif not initialized and (record is None or record.state is not State.EXITED or record.exit_code):
                if record is None or record.state is not State.RUNNING:
                    self._start(container)
                else:
                    self._keep(container, False)
                return False
        return True

    def _keep(self, container: Container, restart: bool) -> None:
        """Let a container run that should; kill it when its probes or its resources say so."""
        record = self._here(container.name)
        if record is None or record.state is not State.RUNNING:
            if restart or (record is not None and record.state is not State.EXITED):
                self._start(container)
            return
        health, name = self.s.healthy(record), container.name
        restart = policy_of(self.s.pod, container) != "Never"
        wanted, applied = effective(self.s.pod, container), self.s.applied.get(record.id)
        if health.failed:
            text = f"Container {name} failed {health.failed} probe"
        elif applied is not None and applied != wanted:
            self.resizes = True
            if not _resize_restarts(container, applied, wanted):
                self.actions.append(ResizeContainer(record.id, name))
                return
            text, restart = f"Container {name} resize requires restart", True
        else:
            return
        text += ", will be restarted" if restart else ""
        self.actions.append(KillContainer(record.id, name, text, health.grace if health.failed else None))
        if restart:
            self._start(container, record)

    def _start(self, container: Container, killed: ContainerRecord | None = None) -> None:
        """Start it, unless it has failed too often lately. `killed`: the one that this plan ends before."""
        name, last = container.name, self.s.records.latest(container.name)
        dead = self.s.records.exited(name)
        ended = max(dead.finished_at, dead.created_at) if dead is not None else 0
        if dead is not None:
            over = backoff.until(self.s.waits, name, ended, self.now, self.s.limits)
            if over:
                self.waiting[name] = CRASH_LOOP, self._crash_loop(name)
                self.wake_at = min(self.wake_at or over, over)
                return
        if last is not None and last.state is State.UNKNOWN:
            text = f'Container is in "unknown" state, try killing it before restart: {name}'
            self.actions.append(KillContainer(last.id, name, text))
        unused = last is not None and last.state is State.CREATED  # its creator died before the start
        if last is not None and unused:
            self.actions.append(RemoveContainer(last.id))
        attempt = 0 if last is None else last.attempt if unused else last.attempt + 1
        self.actions.append(StartContainer(name, attempt, self.box.id, ended))

    def _crash_loop(self, name: str) -> str:
        delay = backoff.words(self.s.waits[name].delay)
        return f"back-off {delay} restarting failed container={name} pod={title(self.s.pod)}"


def title(pod: Pod) -> str:
    """A pod as the kubelet's messages name it: name_namespace(uid)."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def _resize_restarts(container: Container, old: ResourceRequirements, new: ResourceRequirements) -> bool:
    """Whether a resource changes whose policy is RestartContainer."""
    changed = {
        name
        for name in {*old.limits, *new.limits, *old.requests, *new.requests}
        if old.limits.get(name) != new.limits.get(name) or old.requests.get(name) != new.requests.get(name)
    }
    return any(p.resource_name in changed and p.restart_policy == "RestartContainer" for p in container.resize_policy)


def _rubbish(records: Records) -> tuple[Action, ...]:
    """Dead containers of which there is a newer one that is dead too, and empty sandboxes of the past."""
    kept = set[str]()
    for name in {record.name for record in records.containers}:
        newest, dead = records.latest(name), records.exited(name)
        kept |= {record.id for record in (newest, dead) if record is not None}
    gone = [r for r in records.containers if r.id not in kept and r.state in (State.EXITED, State.CREATED)]
    used = {record.sandbox_id for record in records.containers if record not in gone}
    boxes = [box for box in records.sandboxes[1:] if not box.ready and box.id not in used]
    return (*(RemoveContainer(record.id) for record in gone), *(RemoveSandbox(box.id) for box in boxes))
