"""The agent: sources on one side, CRI on the other, and a worker for each pod between them.

Level-triggered: whatever happens (a manifest changes, the runtime tells an event, a list differs, a worker ends),
`reconcile` compares what is wanted with what is there, and wakes those whom it concerns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from cricket.errors import Code, CricketError
from cricket.kubelet.agent_alarm import Alarm
from cricket.kubelet.agent_choice import OVER, chosen, goes_later
from cricket.kubelet.cgroups.pods import PodCgroups, usable
from cricket.kubelet.events import Events
from cricket.kubelet.gc_containers import rotate_logs
from cricket.kubelet.gc_images import ImageCollector
from cricket.kubelet.gc_orphans import OrphanCollector
from cricket.kubelet.job_memory import Jobs
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.loop_observe import Observer
from cricket.kubelet.manifest.desired import Desired, objects_of
from cricket.kubelet.manifest.expand import attempt
from cricket.kubelet.model.base import ObjectMeta
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod, PodSpec
from cricket.kubelet.node import Node
from cricket.kubelet.source import Source
from cricket.kubelet.worker import PodWorker
from cricket.kubelet.worker_parts import Parts, Settings

log = logging.getLogger("cricket.kubelet")
_WITH_EVENTS = 5.0
"""Seconds between lists when the runtime tells events as well."""


class Agent:
    """Everything of one node agent. `run` works until it is cancelled, which leaves all pods running."""

    def __init__(self, cri: Cri, node: Node, settings: Settings, sources: dict[str, Source]) -> None:
        self.node, self.settings, self.cri = node, settings, cri
        self.events, self.observer = Events(), Observer(cri, settings.name)
        self.workers: dict[str, PodWorker] = {}
        cgroups = self._cgroups()
        self.parts = Parts(cri, self.observer, self.events, node, settings, lambda: self._objects, cgroups)
        self.changed: Callable[[], None] = lambda: None
        self.work: asyncio.Task[None]
        self._sources = sources
        self._desired: dict[str, tuple[Desired, ...]] = {}
        self._objects = Objects()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._relist, self._telling = asyncio.Event(), False
        self._listed = False
        self._images = ImageCollector(self.parts)
        self._jobs, self._alarm = Jobs(node, self.events), Alarm(self.reconcile)
        self._orphans = OrphanCollector(self.parts, self._known, self.reconcile)

    def _cgroups(self) -> PodCgroups | None:
        if not self.settings.pod_cgroups:
            return None
        if not usable(self.node):
            log.warning("cgroups cannot be made here: limits of whole pods are not enforced")
            return None
        return PodCgroups(self.node, self.active, pids=self.settings.pod_pids)

    def active(self) -> list[Pod]:
        """The pods that have not ended and are not to."""
        return [w.pod for w in self.workers.values() if not w.ending and w.status["phase"] not in OVER]

    # what is wanted

    def offer(self, source: str, desired: tuple[Desired, ...]) -> None:
        """A source says what it wants now."""
        old = {problem for part in self._desired.get(source, ()) for problem in (*part.errors, *part.warnings)}
        for part in desired:
            for problem in part.errors:
                if problem not in old:
                    log.error("%s", problem)
            for problem in part.warnings:
                if problem not in old:
                    log.warning("%s", problem)
        self._desired[source] = desired
        before, self._objects = self._objects, objects_of(self._wanted())
        if before != self._objects:
            for worker in self.workers.values():
                worker.update(worker.pod)
        self.reconcile()

    def _wanted(self) -> Iterable[Desired]:
        return (part for parts in self._desired.values() for part in parts)

    def problems(self) -> list[str]:
        """What is wrong with the manifests now, and which Jobs failed."""
        return [*(str(problem) for part in self._wanted() for problem in part.errors), *self._jobs.failures()]

    @property
    def synced(self) -> bool:
        """Whether every source and the runtime have been heard: before that nothing is ended."""
        return self._listed and set(self._desired) >= set(self._sources)

    # what is done

    def reconcile(self) -> None:
        """Begin, change and end workers as wanted. Quick and without I/O; idempotent."""
        if not self._listed:
            return
        wanted = self._chosen()
        for uid in self.observer.uids() - set(self.workers):
            pod = wanted.get(uid) or self.observer.manifest(uid)
            if uid in wanted or self.synced:
                self._begin(pod or Pod(ObjectMeta(name=uid, namespace="unknown", uid=uid), PodSpec(containers=())))
        for uid in set(self.workers) & set(wanted):
            if self.workers[uid].pod != wanted[uid]:
                self.workers[uid].update(wanted[uid])
        taken = {worker.pod.key for worker in self.workers.values()}
        for uid, pod in wanted.items():
            if uid not in self.workers and pod.key not in taken and uid not in self._orphans.going:
                self._begin(pod)
        self._end_others(wanted)
        self.changed()

    def _chosen(self) -> dict[str, Pod]:
        """The pods that are wanted, by uid."""
        seen = {uid: worker.seen() for uid, worker in self.workers.items()}
        choice = chosen(self._wanted(), seen, self._jobs.state, time.time_ns(), self._again)
        for key, state in choice.jobs.items():
            self._jobs.keep(key, state)
        if self.synced:
            self._jobs.forget_others(set(choice.jobs))
        self._alarm.set(choice.wake_at)
        return {pod.metadata.uid: pod for pod in choice.pods}

    def _again(self, pod: Pod, number: int) -> Pod:
        return attempt(pod, number, self.node.name)

    def _end_others(self, wanted: dict[str, Pod]) -> None:
        if not self.synced:
            return
        there = [worker.pod for worker in self.workers.values()]
        for uid in set(self.workers) - set(wanted):
            if not goes_later(self.workers[uid].pod, there, wanted.values()):
                self.workers[uid].end()

    def _known(self) -> set[str] | None:
        return set(self.workers) | self.observer.uids() if self.synced else None

    def _begin(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        worker = self.workers[uid] = PodWorker(self.parts, pod)
        task = self._tasks[uid] = asyncio.create_task(worker.run(), name=f"pod {pod.key}")
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        worker = self.workers.pop(uid)
        self._tasks.pop(uid)
        if task.exception() is not None:
            log.error("pod %s: the worker failed", worker.pod.key, exc_info=task.exception())
            asyncio.get_running_loop().call_later(self.settings.retry, self.reconcile)
            return
        self.observer.gone(uid)
        self.reconcile()

    async def run(self) -> None:
        """Work until cancelled. While the runtime is away, nothing happens."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._leave)
            async with asyncio.TaskGroup() as group:
                for source in self._sources.values():
                    group.create_task(_source(source, self.offer))
                group.create_task(self._list())
                group.create_task(self._listen())
                group.create_task(self._every(self.settings.gc_period, self._images.collect))
                group.create_task(self._sweep())
                group.create_task(self._every(self.settings.log_period, lambda: rotate_logs(self.parts)))

    async def _leave(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _list(self) -> None:
        away = False
        while True:
            self._relist.clear()
            try:
                changed = await self.observer.relist()
                away, self._listed = False, True
            except CricketError as error:
                if not away:
                    log.warning("the runtime does not answer: %s", error)
                away, changed = True, set()
            for uid in changed & set(self.workers):
                self.workers[uid].wake()
            self.reconcile()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WITH_EVENTS if self._telling else self.settings.relist):
                    await self._relist.wait()

    async def _listen(self) -> None:
        """Events only wake: what they say is not believed, the lists are."""
        while True:
            try:
                stream = self.cri.stream("GetContainerEvents")
                async with contextlib.aclosing(stream):  # type: ignore[type-var]  # an async generator, said to be less
                    async for _ in stream:
                        self._telling = True  # only now is it known that it does
                        self._relist.set()
            except CricketError as error:
                if error.code is Code.UNIMPLEMENTED:
                    return
            finally:
                self._telling = False
            await asyncio.sleep(1.0)

    async def _sweep(self) -> None:
        """At once what an agent before has left, later now and then."""
        while not self.synced:
            await asyncio.sleep(0.5)
        with contextlib.suppress(CricketError):  # each of them was told
            await self._orphans.collect()
        await self._every(self.settings.gc_period, self._orphans.collect)

    async def _every(self, period: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                await work()
            except CricketError as error:
                log.warning("%s", error)

    async def end_all(self, grace: float | None = None) -> None:
        """End every pod and wait until all are gone."""
        self._desired = {name: () for name in self._sources}
        self.reconcile()
        for worker in self.workers.values():
            worker.end(grace)
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))


async def _source(source: Source, offer: Callable[[str, tuple[Desired, ...]], None]) -> None:
    await source(offer)
