"""Pulling, as the daemon sees it: one worker for all who want the same thing, and the image recorded at the end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from cricket.config.model import Images
from cricket.errors import CricketError, Internal
from cricket.images.leases import Lease
from cricket.images.pull_process import Workers
from cricket.images.reference import Reference, is_short
from cricket.images.remote.endpoint import RegistryPaths
from cricket.images.remote.messages import PullLimits, PullProgress, PullRequest, PullResult
from cricket.images.remote.registries_conf import load_registries
from cricket.images.remote.registries_file import Registries
from cricket.images.remote.short_names import candidates
from cricket.images.store import ImageStore
from cricket.types.image import Image, RegistryAuth

_log = logging.getLogger(__name__)


class PullOutcome(msgspec.Struct, frozen=True):
    """What a finished pull came to, for metrics. `seconds` of wall time; `downloaded` bytes of layers."""

    reference: str
    seconds: float
    downloaded: int = 0
    error: CricketError | None = None


class _Flight:
    """A pull under way, and those who wait for it."""

    def __init__(self, references: tuple[Reference, ...]) -> None:
        self.references = references
        self.progress = PullProgress(str(references[0]))
        self.waiters = 0
        self.downloaded = 0
        self.task: asyncio.Task[str] | None = None
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, progress: PullProgress) -> None:
        """Newer progress."""
        self.progress = progress
        if not self._changed.done():
            self._changed.set_result(None)
        self._changed = asyncio.get_running_loop().create_future()

    async def changed(self) -> None:
        """Wait for the next progress, or the end."""
        if self.task is not None:
            waited: list[asyncio.Future[Any]] = [self._changed, self.task]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)


class PullService:
    """Pulls images into a store. Used from one event loop.

    `on_done` is called once for each worker's pull. A config given to `reload` counts for pulls that begin later.
    """

    def __init__(
        self, store: ImageStore, config: Images, *, on_done: Callable[[PullOutcome], None] | None = None
    ) -> None:
        self._store, self._on_done = store, on_done
        self._flights: dict[bytes, _Flight] = {}
        self._salt = os.urandom(16)
        self._settling: asyncio.Task[None] | None = None
        self._workers = Workers()
        self._registries = Registries()
        self.limits = PullLimits()
        self.reload(config)

    def reload(self, config: Images) -> None:
        """Use another configuration from now on."""
        self._config = config
        self._gate = asyncio.Semaphore(config.max_concurrent_pulls)
        self.limits = msgspec.structs.replace(
            self.limits, concurrent_downloads=config.max_concurrent_downloads, stall=config.progress_timeout
        )

    async def pull(
        self, reference: str, auth: RegistryAuth | None = None, annotations: Mapping[str, str] | None = None
    ) -> str:
        """Pull and return the image id (the config's digest); the image is in the index, durably.

        Who asks for the same with the same credentials shares one download; it is stopped when the last of them is
        cancelled, and what was received is kept. A digest that is here asks no registry. Raises InvalidArgument,
        NotFound, Unauthenticated, PermissionDenied, FailedPrecondition (configuration), DataLoss, Unimplemented,
        ResourceExhausted and RegistryUnavailable.
        """
        if is_short(reference):
            await self._read_registries()
        references = self.candidates(reference)
        present = self._present(references[0])
        if present is not None:
            return present.id
        key = self._key(references, auth)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(references)
            flight.task = asyncio.ensure_future(self._fly(key, flight, auth, dict(annotations or {})))
            flight.task.add_done_callback(_retrieve)
        return await self._join(key, flight)

    def candidates(self, name: str) -> tuple[Reference, ...]:
        """What a name may mean, in order (short names: by registries.conf as last read). Raises InvalidArgument."""
        return candidates(name, self._registries).references

    def progress(self, reference: str) -> PullProgress | None:
        """How far a pull is, None when there is none under way."""
        wanted = str(Reference.parse(reference))
        for flight in self._flights.values():
            if any(str(r) == wanted for r in flight.references):
                return flight.progress
        return None

    def active(self) -> list[PullProgress]:
        """All pulls under way."""
        return [flight.progress for flight in self._flights.values()]

    async def watch(self, reference: str) -> AsyncIterator[PullProgress]:
        """Progress of a pull under way until it ends; a slow reader gets the newest, not each."""
        wanted, last = str(Reference.parse(reference)), None
        for flight in list(self._flights.values()):
            if any(str(r) == wanted for r in flight.references):
                while flight.task is not None and not flight.task.done():
                    if flight.progress is not last:
                        last = flight.progress
                        yield last
                    else:
                        await flight.changed()
                if flight.progress is not last:
                    yield flight.progress
                return

    async def close(self) -> None:
        """Stop all pulls; what they received is kept."""
        tasks = [f.task for f in self._flights.values() if f.task] + ([self._settling] if self._settling else [])
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._workers.close()

    async def _join(self, key: bytes, flight: _Flight) -> str:
        assert flight.task is not None
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)

    def _forget(self, key: bytes, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _fly(self, key: bytes, flight: _Flight, auth: RegistryAuth | None, annotations: dict[str, str]) -> str:
        """The task of one flight: wait for a free place, pull, record, tell."""
        began, error = time.monotonic(), None
        try:
            async with self._gate:
                image = await self._pull(flight, auth, annotations)
            self._settle()
            return image.id
        except CricketError as e:
            e.what = f"cannot pull {flight.references[0]}: {e.what}"
            error = e
            raise
        finally:
            self._forget(key, flight)
            if self._on_done is not None:
                seconds = time.monotonic() - began
                self._on_done(PullOutcome(str(flight.references[0]), seconds, flight.downloaded, error))

    async def _pull(self, flight: _Flight, auth: RegistryAuth | None, annotations: dict[str, str]) -> Image:
        lease = await asyncio.to_thread(self._store.lease)
        try:
            known = self._known(flight.references)
            image = await self._work(flight, lease, auth, annotations, known)
            if image is None:  # it was removed while the registry was asked whether it is still right
                image = await self._work(flight, lease, auth, annotations, {})
            if image is None:
                raise Internal("the pull worker brought no image", where=str(flight.references[0]))
            return image
        finally:
            await asyncio.shield(asyncio.to_thread(lease.release))

    async def _work(
        self,
        flight: _Flight,
        lease: Lease,
        auth: RegistryAuth | None,
        annotations: dict[str, str],
        known: dict[str, tuple[str, ...]],
    ) -> Image | None:
        """One worker, and the record of what it brought; None when that was `known` but is not here any more."""
        request = PullRequest(
            tuple(str(r) for r in flight.references),
            self._store.root,
            RegistryPaths(self._config.certs_dirs, self._config.registries_conf),
            auth,
            self._config.docker_configs,
            known,
            limits=self.limits,
            lease=lease.id,
            parent=os.getpid(),
        )
        async with self._workers.pull(request, flight.tell) as result:
            flight.downloaded = result.downloaded
            flight.tell(msgspec.structs.replace(flight.progress, stage="recording"))
            return await self._record(result, annotations)

    async def _record(self, result: PullResult, annotations: dict[str, str]) -> Image | None:
        reference = Reference.parse(result.reference)
        image = result.image
        if image is None:
            image = self._store.index.find(str(reference))
            if image is None or not annotations or image.annotations == annotations:
                return image
            return await self._store.put(msgspec.structs.replace(image, annotations=annotations))
        tags = (reference.tagged,) if reference.tagged else ()
        digests = (reference.with_digest(result.digest),)
        return await self._store.put(
            msgspec.structs.replace(image, tags=tags, digests=digests, annotations=annotations)
        )

    def _present(self, reference: Reference) -> Image | None:
        """The image of a digest reference that is here, whole."""
        if not reference.digest:
            return None
        image = self._store.index.find(reference.with_digest(reference.digest))
        return image if image is not None and self._store.snapshots.has(image.chain_id) else None

    def _known(self, references: tuple[Reference, ...]) -> dict[str, tuple[str, ...]]:
        """Digests that the index has for tags whose images are here, whole."""
        known = {}
        for reference in references:
            image = self._store.index.find(reference.tagged) if reference.tagged else None
            if image is not None and self._store.snapshots.has(image.chain_id):
                prefix = reference.with_digest("")
                known[str(reference)] = tuple(d.removeprefix(prefix) for d in image.digests if d.startswith(prefix))
        return known

    def _key(self, references: tuple[Reference, ...], auth: RegistryAuth | None) -> bytes:
        """What a flight is shared by; credentials only as a salted hash."""
        text = msgspec.json.encode((tuple(str(r) for r in references), auth))
        return hashlib.blake2b(text, digest_size=16, key=self._salt).digest()

    async def _read_registries(self) -> None:
        self._registries = await asyncio.to_thread(load_registries, self._config.registries_conf)

    def _settle(self) -> None:
        """In the background: make new layers durable, and drop compressed ones that are not to be kept."""
        if self._settling is None or self._settling.done():
            self._settling = asyncio.ensure_future(self._settle_now())

    async def _settle_now(self) -> None:
        try:
            await self._store.settle()
            if not self._config.keep_blobs:
                await self._store.collect()
        except CricketError as e:
            _log.warning("layers could not be made durable: %s", e)


def _retrieve(task: asyncio.Task[str]) -> None:
    """Every waiter may be gone when a flight fails: that is no reason to complain at the task's end."""
    if not task.cancelled():
        task.exception()
