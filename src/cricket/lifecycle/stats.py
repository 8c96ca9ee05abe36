"""Usage of containers and sandboxes: one hop to a thread for a whole list, rates from the previous reading."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from cricket.errors import CricketError, InvalidArgument
from cricket.kernel.cgroup_paths import Layout
from cricket.kernel.cgroup_read import Reading, read
from cricket.lifecycle.stats_sum import add_up
from cricket.oci.cgroup import parent_dir
from cricket.types.container import Container, ContainerState
from cricket.types.image import FsUsage
from cricket.types.node import CgroupDriver
from cricket.types.sandbox import Sandbox
from cricket.types.stats import ContainerUsage, FsCapacity, Interface, SandboxUsage

# Rates over less than this are noise: within it the last rate is told again.
RATE_WINDOW_NS = 900_000_000
# Readings of ids that nobody asked for in this time are dropped.
FORGET_NS, SWEEP_NS = 600_000_000_000, 60_000_000_000


class _Job(msgspec.Struct):
    """A cgroup to read; `count` asks for processes, `full` for everything that metrics want."""

    id: str
    path: str
    full: bool
    count: bool


class _Known(msgspec.Struct):
    """The last reading of an id, and the start of the present rate window; times on the monotonic clock."""

    at: int
    reading: Reading
    full: bool
    window_at: int
    window_usage: int
    rate: int | None = None


class StatsReader:
    """Reads usage. Everything but `read` itself runs on the event loop, so there is no lock.

    `writable_layer` is called on the loop and must not block: it tells what `measure` has found out for the containers
    of the request, which is awaited before; `interfaces` is called in the worker thread, for
    sandboxes that have a network of their own, and may enter the sandbox's namespace if it comes back. `capacity` tells
    the file system of the writable layers, on the loop, once for each full reading. `period`
    (seconds) is how long a reading is given out again.
    """

    def __init__(
        self,
        layout: Layout,
        driver: CgroupDriver,
        *,
        writable_layer: Callable[[Container], FsUsage | None] = lambda container: None,
        measure: Callable[[Iterable[str]], Awaitable[None]] | None = None,
        interfaces: Callable[[Sandbox], tuple[Interface, ...]] = lambda sandbox: (),
        capacity: Callable[[], FsCapacity | None] = lambda: None,
        period: float = 0.0,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._layout, self._driver = layout, driver
        self._writable_layer, self._interfaces, self._capacity = writable_layer, interfaces, capacity
        self._measure = measure
        self.period = period
        self._clock, self._monotonic = clock, monotonic
        self._known: dict[str, _Known] = {}
        self._swept = monotonic()

    async def containers(self, records: Sequence[Container], *, full: bool = False) -> list[ContainerUsage]:
        """Usage of the containers, in order. `full` (for metrics) adds I/O, processes, descriptors, failure counts.

        A running container whose cgroup is gone has vanished and is left out; one that does not run is listed with its
        writable layer alone, when that is known.
        """
        await self._measure_layers(records)
        readings = await self._read(_container_jobs(records, full))
        fs = self._capacity() if full else None
        return [usage for record in records if (usage := self._container(record, readings, fs)) is not None]

    async def sandboxes(
        self, records: Sequence[tuple[Sandbox, Sequence[Container]]], *, full: bool = False
    ) -> list[SandboxUsage]:
        """Usage of the sandboxes, each given with its containers, of which the running ones are listed.

        The numbers of the pod are those of its own cgroup; without one they are the sums over its containers.
        """
        running = [_running(containers) for _, containers in records]
        await self._measure_layers(each for containers in running for each in containers)
        jobs = [job for containers in running for job in _container_jobs(containers, full, count=True)]
        jobs += [
            _Job(sandbox.id, path, full, True) for sandbox, _ in records if (path := own_cgroup(self._driver, sandbox))
        ]
        readings = await self._read(jobs, [sandbox for sandbox, _ in records if sandbox.netns])
        fs = self._capacity() if full else None
        return [
            self._sandbox(sandbox, containers, readings, fs)
            for (sandbox, _), containers in zip(records, running, strict=True)
        ]

    async def _measure_layers(self, records: Iterable[Container]) -> None:
        if self._measure is not None:
            await self._measure(record.id for record in records)

    def forget(self, object_id: str) -> None:
        """Drop what is remembered of an id; an unknown one is no error."""
        self._known.pop(object_id, None)

    async def _read(self, jobs: Sequence[_Job], sandboxes: Sequence[Sandbox] = ()) -> _Readings:
        now = self._monotonic()
        self._sweep(now)
        fresh = now - int(self.period * 1e9)
        known = {job.id: self._known.get(job.id) for job in jobs}
        due = [job for job in jobs if not _still_good(known[job.id], job, fresh)]
        done, interfaces = await asyncio.to_thread(self._in_thread, due, sandboxes) if due or sandboxes else ({}, {})
        result = _Readings(interfaces=interfaces)
        missed = {job.id for job in due}
        for job in jobs:
            if job.id in done:
                at, reading = done[job.id]
                result.by_id[job.id] = self._remember(job, at, reading)
            elif (old := known[job.id]) is not None and job.id not in missed:
                result.by_id[job.id] = old.reading
        return result

    def _in_thread(
        self, jobs: Iterable[_Job], sandboxes: Iterable[Sandbox]
    ) -> tuple[dict[str, tuple[int, Reading]], dict[str, tuple[int, tuple[Interface, ...]]]]:
        done = {}
        for job in jobs:
            at = self._monotonic()
            reading = read(
                self._layout, job.path, full=job.full, count=job.count, descriptors=job.full, clock=self._clock
            )
            if reading is not None:
                done[job.id] = (at, reading)
        interfaces = {}
        for sandbox in sandboxes:
            # One sandbox whose network is just going away must not spoil the whole list.
            with contextlib.suppress(CricketError, OSError):
                interfaces[sandbox.id] = (self._clock(), self._interfaces(sandbox))
        return done, interfaces

    def _remember(self, job: _Job, at: int, reading: Reading) -> Reading:
        """Fill in the rate and keep the reading for the next one."""
        if reading.cpu is None:
            return reading
        usage, old = reading.cpu.usage_ns, self._known.get(job.id)
        new = _Known(at, reading, job.full, at, usage)
        if old is not None:
            elapsed = at - old.window_at
            if elapsed < RATE_WINDOW_NS:
                new.window_at, new.window_usage, new.rate = old.window_at, old.window_usage, old.rate
            else:
                new.rate = max(0, usage - old.window_usage) * 1_000_000_000 // elapsed
        cpu = msgspec.structs.replace(reading.cpu, nano_cores=new.rate)
        new.reading = msgspec.structs.replace(reading, cpu=cpu)
        self._known[job.id] = new
        return new.reading

    def _sweep(self, now: int) -> None:
        if now - self._swept >= SWEEP_NS:
            self._swept = now
            self._known = {key: value for key, value in self._known.items() if now - value.at < FORGET_NS}

    def _container(self, record: Container, readings: _Readings, fs: FsCapacity | None) -> ContainerUsage | None:
        reading = readings.by_id.get(record.id)
        if reading is None and record.state is ContainerState.RUNNING:
            return None
        layer = self._writable_layer(record)
        if reading is None:
            return None if layer is None else ContainerUsage(record.id, writable_layer=layer)
        return ContainerUsage(
            record.id, reading.cpu, reading.memory, reading.io, reading.pids, layer, fs, reading.hugetlb
        )

    def _sandbox(
        self, sandbox: Sandbox, containers: Sequence[Container], readings: _Readings, fs: FsCapacity | None
    ) -> SandboxUsage:
        usages = tuple(usage for each in containers if (usage := self._container(each, readings, fs)) is not None)
        reading = readings.by_id.get(sandbox.id) or add_up(usages)
        at, interfaces = readings.interfaces.get(sandbox.id, (0, ()))
        return SandboxUsage(
            sandbox.id, reading.cpu, reading.memory, reading.io, reading.pids, interfaces, at, containers=usages
        )


class _Readings(msgspec.Struct):
    """Readings by object id, and interfaces by sandbox id with the time of their reading."""

    by_id: dict[str, Reading] = {}
    interfaces: dict[str, tuple[int, tuple[Interface, ...]]] = {}


def own_cgroup(driver: CgroupDriver, sandbox: Sandbox) -> str:
    """The pod's own cgroup, "" when it has none: a parent without the pod's uid in its name may be shared by many."""
    try:
        path = parent_dir(sandbox.config.cgroup_parent, driver)
    except InvalidArgument:
        return ""
    uid = sandbox.config.metadata.uid
    name = path.rpartition("/")[2]
    return path if uid and (uid in name or uid.replace("-", "_") in name) else ""


def _running(containers: Sequence[Container]) -> list[Container]:
    return [record for record in containers if record.state is ContainerState.RUNNING]


def _container_jobs(records: Sequence[Container], full: bool, count: bool = False) -> list[_Job]:
    return [_Job(record.id, record.cgroup, full, full or count) for record in records if record.cgroup]


def _still_good(known: _Known | None, job: _Job, fresh: int) -> bool:
    return (
        known is not None
        and known.at > fresh
        and (known.full or not job.full)
        and (known.reading.pids is not None or not job.count)
    )
