"""The worker of one pod: looks, decides, acts, waits; until the pod is gone. No worker waits for another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

import msgspec

from cricket.client.errors import RemoteError
from cricket.errors import CricketError
from cricket.kubelet import backoff, worker_memory
from cricket.kubelet.actions import Situation, decide, title
from cricket.kubelet.actions_list import Action, Plan, ResizeContainer, ResizePod, RunSandbox, StartContainer
from cricket.kubelet.failure import StartFailure
from cricket.kubelet.job_decide import Seen
from cricket.kubelet.loop_records import SECOND, Records, State
from cricket.kubelet.model.container import ResourceRequirements
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.probe_watch import Probes
from cricket.kubelet.sizes import sizes
from cricket.kubelet.status import Shown, pod_status
from cricket.kubelet.worker_do import do
from cricket.kubelet.worker_image import retry_at
from cricket.kubelet.worker_parts import Parts
from cricket.kubelet.worker_words import last_words

log = logging.getLogger("cricket.kubelet")
_SANDBOX = ""


class PodWorker:
    """Brings one pod to what its manifest says. `run` ends when the pod was removed; cancelling it leaves the pod as it
    is, for the next agent."""

    def __init__(self, parts: Parts, pod: Pod) -> None:
        self.parts, self.pod = parts, pod
        self.uid = pod.metadata.uid
        self.ending = False
        self.grace: float | None = None
        memory = worker_memory.load(parts.node, self.uid)
        self.started_at = parts.observer.started(self.uid) or memory.started_at or time.time_ns()
        self.backoff, self.applied = dict(memory.backoff), dict(memory.applied)
        self.settled = memory.settled or parts.observer.manifest(self.uid)
        self.resizing, self._resize_error = False, ""
        self.probes = Probes(parts.cri, pod, parts.events, self.wake, parts.probed)
        self.status: dict[str, Any] = {"phase": "Pending"}
        self._waiting: dict[str, tuple[str, str]] = {}
        self._held: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._starting: asyncio.Future[bool] | None = None
        self._save()

    # what the agent says

    def wake(self) -> None:
        """Look again: something has changed."""
        self._wake.set()

    def update(self, pod: Pod) -> None:
        """The manifest has changed in what can be changed in place, or what it refers to has."""
        self.pod = pod
        self._held.clear()
        self.wake()

    def end(self, grace: float | None = None) -> None:
        """Stop and remove the pod; what is under way to start it is given up. Idempotent."""
        self.grace = self.grace if grace is None else grace
        if not self.ending:
            self.ending = True
            if self._starting is not None:
                self._starting.cancel()
        self.wake()

    # what it knows

    @property
    def records(self) -> Records:
        """What the runtime has of the pod."""
        return self.parts.observer.records(self.uid)

    @property
    def ip(self) -> str:
        """The address for probes and hooks."""
        boxes = self.records.sandboxes
        ips = boxes[0].ips if boxes and not self.pod.spec.host_network else self.parts.node.host_ips
        return ips[0] if ips else "127.0.0.1"

    def situation(self) -> Situation:
        """All of it."""
        return Situation(
            pod=self.pod,
            records=self.records,
            health=self.probes.health(),
            waits=self.backoff,
            limits=self.parts.settings.limits,
            applied=self._applied(),
            started_at=self.started_at,
            ending=self.ending,
            settled=self.settled,
        )

    def resizes(self) -> bool:
        """Whether its resources are being changed in place."""
        return self.settled is not None and sizes(self.settled) != sizes(self.pod)

    def applied_to(self, container_id: str) -> ResourceRequirements | None:
        """What a container that runs has."""
        return self._applied().get(container_id)

    def _applied(self) -> dict[str, ResourceRequirements]:
        found = {}
        for record in self.records.containers:
            if record.resources and record.alive:
                with contextlib.suppress(msgspec.MsgspecError):
                    found[record.id] = msgspec.json.decode(record.resources.encode(), type=ResourceRequirements)
        return found | {key: value for key, value in self.applied.items() if key in found}

    def seen(self) -> Seen:
        """What is to be known of it to decide about other pods."""
        containers = [*self.status.get("initContainerStatuses", ()), *self.status.get("containerStatuses", ())]
        return Seen(
            phase=self.status["phase"],
            ready=any(c["type"] == "Ready" and c["status"] == "True" for c in self.status.get("conditions", ())),
            started_at=self.started_at,
            ended_at=max((record.finished_at for record in self.records.containers), default=0),
            restarts=sum(container["restartCount"] for container in containers),
        )

    # what it does

    async def run(self) -> None:
        """Work until the pod is gone."""
        try:
            while not await self._round():
                pass
        finally:
            await self.probes.close()

    async def _round(self) -> bool:
        """Look, decide, act or wait; True when the pod is gone."""
        self._wake.clear()
        plan = self._decided()
        actions = [action for action in plan.actions if self._held.get(_key(action), 0) <= time.time_ns()]
        if not actions:
            await self._pause(min(filter(None, (plan.wake_at, *self._held.values())), default=0))
            return False
        if await self._act(actions):
            return True
        try:
            await self.parts.observer.relist(self.uid)
        except CricketError as error:
            await self._trouble(error)
        return False

    def _decided(self) -> Plan:
        now, before = time.time_ns(), self._waiting
        self._held = {key: at for key, at in self._held.items() if at > now}
        self.probes.update(self.pod, self.records, self.ip)
        plan = decide(self.situation(), now)
        for name in plan.waiting:
            if before.get(name, ("",))[0] != plan.waiting[name][0]:
                text = f"Back-off restarting failed container {name} in pod {title(self.pod)}"
                self.parts.events.add(self.pod, "BackOff", text, container=name, warning=True)
        running = {record.name for record in self.records.containers if record.state is State.RUNNING}
        kept = {name: why for name, why in before.items() if name not in running}
        self._waiting = {**kept, **plan.waiting}
        self.show()
        return plan

    def show(self) -> None:
        """Make the status anew."""
        specs = {container.name: container for container in self.pod.containers()}
        for record in self.records.containers:
            if record.state is State.EXITED and record.id not in self._words and record.name in specs:
                self._words[record.id] = last_words(specs[record.name], record)
        shown = Shown(self._waiting, self._words, self.parts.node.host_ips, self._resize_error)
        self.status = pod_status(self.situation(), shown, time.time_ns(), self.status)

    async def _act(self, actions: list[Action]) -> bool:
        """Do them in order; True when the pod is gone. What fails is held back; the others go on."""
        for action in actions:
            work = asyncio.ensure_future(do(self, action))
            if isinstance(action, RunSandbox | StartContainer):
                self._starting = work
            try:
                if await work:
                    return True
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if not self.ending or (current is not None and current.cancelling()):
                    work.cancel()
                    raise
                return False  # it was a start, and is not wanted any more
            except StartFailure as error:
                self._failed(action, error)
                if isinstance(action, RunSandbox):
                    return False
                continue
            except CricketError as error:
                await self._trouble(error)
                return False
            finally:
                self._starting = None
            if isinstance(action, RunSandbox):
                self._held.clear()  # what failed in the old sandbox may do in the new one
            elif isinstance(action, StartContainer):
                self._waiting.pop(action.name, None)
        return False

    def _failed(self, action: Action, error: StartFailure) -> None:
        now = time.time_ns()
        self._held[_key(action)] = retry_at(error, now, self.parts.settings.retry)
        if isinstance(action, StartContainer):
            reason = error.reason if error.reason != "FailedMount" else "ContainerCreating"
            self._waiting[action.name] = reason, str(error)
        elif isinstance(action, ResizeContainer | ResizePod):
            self._resize_error = str(error)
        self.show()

    async def _trouble(self, error: CricketError) -> None:
        """The runtime refuses or is away: say so, and try again a little later."""
        log.warning("pod %s: %s", self.pod.key, error)
        if not isinstance(error, RemoteError):
            self.parts.events.add(self.pod, "FailedSync", f"error syncing pod: {error}", warning=True)
        await asyncio.sleep(1.0)

    async def _pause(self, until: int) -> None:
        wait = max(0.01, (until - time.time_ns()) / SECOND) if until else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()

    def attempted(self, action: StartContainer) -> None:
        """A container is started once more: the next wait is longer."""
        if action.ended:
            limits, now = self.parts.settings.limits, time.time_ns()
            self.backoff[action.name] = backoff.after(self.backoff, action.name, action.ended, now, limits)
            self._save()

    def resized(self, container_id: str, resources: ResourceRequirements) -> None:
        """A container has new resources."""
        self.applied[container_id] = resources
        self._save()

    def settled_as(self, pod: Pod) -> None:
        """The whole pod has these resources."""
        self.settled, self.resizing, self._resize_error = pod, False, ""
        self._save()

    def _save(self) -> None:
        memory = worker_memory.Memory(self.started_at, self.backoff, self.applied, self.settled)
        worker_memory.save(self.parts.node, self.uid, memory)


def _key(action: Action) -> str:
    """What is held back after a failure: one attempt at a container (the next one has its back-off, as what failed to
    start is a dead container), a resize, everything by the sandbox."""
    if isinstance(action, StartContainer):
        return f"{action.name}/{action.attempt}"
    if isinstance(action, ResizeContainer | ResizePod):
        return f"resize/{action.name if isinstance(action, ResizeContainer) else ''}"
    return _SANDBOX if isinstance(action, RunSandbox) else "-"
