"""The probes of a pod's running containers: a task for each, whose results become the container's Health."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from cricket.kubelet.actions import Health
from cricket.kubelet.events import Events
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.loop_records import SECOND, ContainerRecord, Records, State
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.model.probe import Probe
from cricket.kubelet.probe_run import Unanswered, look
from cricket.kubelet.probe_state import first, step


class _Watched:
    """A container that is probed."""

    def __init__(self, container: Container) -> None:
        self.started = asyncio.Event()
        if container.startup_probe is None:
            self.started.set()
        self.ready = container.readiness_probe is None
        self.failed = ""
        self.grace: int | None = None
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def health(self) -> Health:
        started = self.started.is_set()
        return Health(started, started and self.ready, self.failed, self.grace)


class Probes:
    """Keeps one task for each probe of each running container; `changed` is called when a health changes."""

    def __init__(
        self, cri: Cri, pod: Pod, events: Events, changed: Callable[[], None], probed: Counter[tuple[str, ...]]
    ) -> None:
        self._cri, self._pod, self._events, self._changed = cri, pod, events, changed
        self._probed = probed
        self._watched: dict[str, _Watched] = {}
        self.ip = ""

    def health(self) -> dict[str, Health]:
        """By container id."""
        return {key: watched.health for key, watched in self._watched.items()}

    def update(self, pod: Pod, records: Records, ip: str) -> None:
        """Probe what runs and nothing else, at the pod's address `ip`."""
        self._pod, self.ip = pod, ip
        running = {r.id: r for r in records.containers if r.state is State.RUNNING}
        for gone in set(self._watched) - set(running):
            self._drop(gone)
        specs = {container.name: container for container in pod.containers()}
        for key, record in running.items():
            if key not in self._watched and record.name in specs:
                self._begin(specs[record.name], record)

    async def close(self) -> None:
        """End all probing. Idempotent."""
        tasks = [task for watched in self._watched.values() for task in watched.tasks]
        for key in list(self._watched):
            self._drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, key: str) -> None:
        for task in self._watched.pop(key).tasks:
            task.cancel()

    def _begin(self, container: Container, record: ContainerRecord) -> None:
        watched = self._watched[record.id] = _Watched(container)
        kinds = ("startup", container.startup_probe), ("liveness", container.liveness_probe)
        for kind, probe in (*kinds, ("readiness", container.readiness_probe)):
            if probe is not None:
                work = self._watch(kind, probe, container, record, watched)
                watched.tasks.append(asyncio.create_task(work, name=f"{kind} {container.name}"))

    async def _watch(
        self, kind: str, probe: Probe, container: Container, record: ContainerRecord, watched: _Watched
    ) -> None:
        if kind != "startup":
            await watched.started.wait()
        begin = record.started_at / SECOND + probe.initial_delay_seconds
        await asyncio.sleep(max(0.0, begin - time.time()))
        run = first(kind)
        while True:
            began = time.monotonic()
            result, words = await self._look(probe, container, record)
            self._count(kind, container.name, result)
            if words:
                text = f"{kind.capitalize()} probe {words}"
                self._events.add(self._pod, "Unhealthy", text, container=container.name, warning=True)
            if result is not None:
                run = step(run, result, probe)
            before = watched.health
            if run.decided:
                self._conclude(kind, run.good, probe, watched)
            if watched.health != before:
                self._changed()
            if watched.failed or (kind == "startup" and run.decided):
                return
            await asyncio.sleep(max(0.0, began + probe.period_seconds - time.monotonic()))

    async def _look(self, probe: Probe, container: Container, record: ContainerRecord) -> tuple[bool | None, str]:
        """The result, None when there is none, and what to tell of it."""
        try:
            result, words = await look(self._cri, container, record.id, probe, self.ip)
        except Unanswered as error:
            return None, f"errored and resulted in unknown state: {error}"
        return result, "" if result else f"failed: {words}"

    def _count(self, kind: str, container: str, result: bool | None) -> None:
        meta, words = self._pod.metadata, {None: "unknown", True: "successful", False: "failed"}
        self._probed[kind.capitalize(), words[result], meta.namespace, meta.name, container] += 1

    def _conclude(self, kind: str, good: bool, probe: Probe, watched: _Watched) -> None:
        if kind == "readiness":
            watched.ready = good
        elif not good:
            watched.failed, watched.grace = kind, probe.termination_grace_period_seconds
        elif kind == "startup":
            watched.started.set()
