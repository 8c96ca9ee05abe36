"""The pool of warm sandboxes: kept full while nothing else is to do, given to pods that can take any of them.

The directories are the truth, this is what the daemon remembers of them. A task runs only while something is to be
made or taken apart: after a claim, a change of the network or of the configuration, and at start. Each step waits
until for a moment there was no RunPodSandbox, so that pods that come in a burst take what is there, and neither
they nor their containers are held up by what is made for later ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator
from hashlib import sha256

import msgspec

from cricket.config.model import Config
from cricket.errors import CricketError
from cricket.kernel.netns_thread import in_own_thread
from cricket.lifecycle import sandbox_files, warm_fit, warm_make
from cricket.lifecycle.clock import new_id
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.operations import Operations
from cricket.lifecycle.sandbox_sysctls import default_sysctls
from cricket.lifecycle.warm_make import Warm
from cricket.network.network import Network
from cricket.network.warm import Terms, Unsafe, intact
from cricket.store.store import Store
from cricket.types.metrics import REGISTRY
from cricket.types.sandbox import SandboxConfig
from cricket.types.stage import stage

log = logging.getLogger(__name__)
_QUIET = 0.5  # seconds without a RunPodSandbox before a step of the task: the pod's containers are started then
_PAUSE = 0.05  # seconds between two steps: at most 20 a second
_HOLD, _LONGEST_HOLD = 10.0, 300.0  # seconds without steps after one that failed, doubled each time
_DRAIN = 10.0  # seconds that a stop takes at most to take the pool away
_OUTCOMES = ("hit", "empty", "unfit")
_claims = REGISTRY.counter(
    "cricket_warm_sandbox_claims_total",
    "Pods that came while warm sandboxes are configured: hit, empty, unfit (pod or network needs its own).",
    ("outcome",),
)
_made = REGISTRY.counter("cricket_warm_sandboxes_made_total", "Warm sandboxes made, by outcome.", ("outcome",))


class WarmPool:
    """Warm sandboxes that are ready (oldest first), and those that are to be taken apart."""

    def __init__(self, config: Config, layout: Layout, network: Network, store: Store, ops: Operations) -> None:
        self.config = config
        self._layout, self._network, self._store, self._ops = layout, network, store, ops
        self._ready: dict[str, Warm] = {}
        self._leaving: dict[str, None] = {}
        self._making = ""
        self._runs, self._calm = 0, asyncio.Event()
        self._calm.set()
        self._open = self._again = False
        self._task: asyncio.Task[None] | None = None
        self._hold, self._held_until = _HOLD, 0.0
        self._given_up = self._last_run = float("-inf")
        self._turn = asyncio.Lock()  # one is made or taken apart at a time
        self._unsafe = self._trouble = ""

    @property
    def _size(self) -> int:
        return self.config.network.warm_sandboxes

    @property
    def ready(self) -> int:
        """How many are ready."""
        return len(self._ready)

    # pods

    @contextlib.contextmanager
    def pod_starts(self) -> Iterator[None]:
        """While a RunPodSandbox is under way the pool is left as it is."""
        self._runs += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._runs -= 1
            self._last_run = time.monotonic()
            if not self._runs:
                self._calm.set()
                if len(self._ready) < self._size:
                    self.kick()

    async def take(self, config: SandboxConfig) -> Warm | None:
        """A warm sandbox with this pod's hostname, None when it needs one of its own or none is ready. Raises nothing.

        It is the caller's: a record with its id claims it, or it is given back.
        """
        if not self._size:
            return None
        with stage("warm sandbox"):
            return await self._take(config)

    async def _take(self, config: SandboxConfig) -> Warm | None:
        terms, digest = await self._terms()
        ready = terms is not None and self._network.condition().status
        if terms is None or not ready or not warm_fit.fits(config, self._network, terms):
            self._count("unfit", config)
            return None
        while self._ready:
            warm = self._ready.pop(next(iter(self._ready)))
            try:
                wrong = await self._wrong(warm, terms, digest, sandbox_files.hostname_of(config))
            except BaseException:
                self._leaving[warm.id] = None
                raise
            if not wrong:
                self._count("hit", config)
                return warm
            log.debug("warm sandbox %s is not used: %s", warm.id, wrong)
            self._leaving[warm.id] = None
        self._count("empty", config)
        return None

    def _count(self, outcome: str, config: SandboxConfig) -> None:
        _claims.inc(outcome)
        log.debug("pod %s and the warm sandboxes: %s", config.metadata.name, outcome)

    def give_back(self, warm: Warm) -> None:
        """Take back one that no record has claimed after all. Idempotent; one that was claimed is none of ours."""
        if warm.id not in self._store.sandboxes and warm_make.read(self._layout, warm.id) is not None:
            self._ready[warm.id] = warm

    async def give_up(self, since: float) -> bool:
        """Take the pool apart now and leave it empty for a while: a pod failed, which may want what the pool holds.

        Whether anything was given up after `since` (time.monotonic), when the pod's attempt began; for another pod
        counts, too. Addresses may be scarce, and pods go before the pool.
        """
        async with self._turn:
            given = list(self.ids()) if self._size else []
            for sandbox_id in given:
                await self._remove(sandbox_id)
            if given:
                self._given_up = time.monotonic()
                self._hold_off("a pod could not be attached beside the pool")
        return self._given_up > since

    # the daemon

    async def adopt(self) -> None:
        """Find what an earlier daemon has left. What is alike and whole is ready, the rest is taken apart later."""
        names = sorted(os.listdir(self._layout.sandboxes()))
        found = [w for n in names if n not in self._store.sandboxes and (w := warm_make.read(self._layout, n))]
        if not found:
            return
        terms, digest = await self._terms()
        for warm in found:
            full = len(self._ready) >= self._size
            if terms is None or full or await self._wrong(warm, terms, digest):
                self._leaving[warm.id] = None
            else:
                self._ready[warm.id] = warm

    def ids(self) -> list[str]:
        """Everything of ours: what GC and the sweep must leave alone."""
        return [*self._ready, *self._leaving, *([self._making] if self._making else [])]

    def start(self) -> None:
        """Begin to keep the pool as it should be. Needs a running loop."""
        self._open = True
        self._network.on_change(self.kick)
        self.kick()

    def kick(self) -> None:
        """Something may be to do. Costs nothing when not."""
        if not self._open or not (self._size or self._ready or self._leaving):
            return
        self._again = True
        if self._task is None or self._task.done():
            self._task = self._ops.background(self._keep(), "keep warm sandboxes", "")

    def stop(self) -> None:
        """Begin nothing more; what is being made is finished. Idempotent."""
        self._open = False
        self._calm.set()

    async def leave(self) -> None:
        """The daemon ends. Without pods on the node nothing stays; else the next daemon finds the pool as it is."""
        if self._store.sandboxes:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN), self._turn:
                for sandbox_id in self.ids():
                    await self._remove(sandbox_id)

    def __str__(self) -> str:
        if not self._size:
            return "none" if not self.ids() else f"none; {len(self.ids())} are being taken apart"
        text = f"{len(self._ready)} of {self._size} ready"
        counts = ", ".join(f"{outcome} {int(_claims.value(outcome))}" for outcome in _OUTCOMES)
        return "; ".join(filter(None, (f"{text} ({counts})", self._unsafe, self._trouble)))

    def describe(self) -> dict[str, object]:
        """For people: how large it should be and is, why it is not, and what came of it so far."""
        return {
            "size": self._size,
            "ready": len(self._ready),
            "leaving": len(self._leaving),
            "unsafe": self._unsafe,
            "trouble": self._trouble,
            **{outcome: int(_claims.value(outcome)) for outcome in _OUTCOMES},
        }

    # the task

    async def _keep(self) -> None:
        while self._open and time.monotonic() >= self._held_until:
            await self._calm.wait()
            if (rest := self._last_run + _QUIET - time.monotonic()) > 0:
                await asyncio.sleep(rest)
                continue
            async with self._turn:
                self._again = False
                if not await self._step() and not self._again:
                    return
            await asyncio.sleep(_PAUSE)

    async def _step(self) -> bool:
        """Take one apart or make one; whether there was anything to do."""
        terms, digest = await self._terms()
        stale = [w.id for w in self._ready.values() if terms is None or w.digest != digest]
        for sandbox_id in [*stale, *list(self._ready)[self._size :]]:
            self._ready.pop(sandbox_id, None)
            self._leaving[sandbox_id] = None
        if not self._open:
            return False
        if self._leaving:
            await self._remove(next(iter(self._leaving)))
            return True
        if terms is None or len(self._ready) >= self._size:
            return False
        await self._make(terms, digest)
        return True

    async def _make(self, terms: Terms, digest: str) -> None:
        self._making = sandbox_id = new_id()
        try:
            sysctls = self._sysctls()
            warm = await warm_make.make(sandbox_id, self._layout, self._network, terms, digest, sysctls)
        except CricketError as error:
            _made.inc("failed")
            # Its undoing may have failed, too.
            self._leaving[sandbox_id] = None
            self._hold_off(str(error))
            log.warning("no warm sandbox can be made, tried again later: %s", error)
        else:
            _made.inc("ok")
            self._ready[sandbox_id] = warm
            self._hold, self._trouble = _HOLD, ""
        finally:
            self._making = ""

    async def _remove(self, sandbox_id: str) -> None:
        try:
            await warm_make.remove(sandbox_id, self._layout, self._network)
        except CricketError as error:
            self._leaving[sandbox_id] = None
            self._hold_off(str(error))
            log.error("warm sandbox %s could not be taken apart yet: %s", sandbox_id, error)
        else:
            self._ready.pop(sandbox_id, None)
            self._leaving.pop(sandbox_id, None)

    def _hold_off(self, why: str) -> None:
        self._trouble = why
        self._held_until = time.monotonic() + self._hold
        asyncio.get_running_loop().call_later(self._hold + 0.01, self.kick)
        self._hold = min(self._hold * 2, _LONGEST_HOLD)

    async def _terms(self) -> tuple[Terms | None, str]:
        """On what terms warm sandboxes are made now, None for not at all; and the digest of these and of our part."""
        if not self._size:
            return None, ""
        try:
            found = await self._network.warm_terms()
        except CricketError as error:
            found = Unsafe(str(error))
        reason = found.reason if isinstance(found, Unsafe) else ""
        if reason != self._unsafe:
            log.debug("warm sandboxes: %s", reason or "the network is one for them")
            self._unsafe = reason
        if isinstance(found, Unsafe):
            return None, ""
        ours = msgspec.json.encode([found.digest, sorted(self._sysctls().items())])
        return found, sha256(ours).hexdigest()

    async def _wrong(self, warm: Warm, terms: Terms, digest: str, hostname: str = "") -> str:
        """What is wrong with it, "" for nothing; then it has the hostname."""
        if warm.digest != digest:
            return "it was made on other terms"

        def work() -> str:
            wrong = intact(warm.id, self._layout.pin(warm.id, "net"), warm.result, terms)
            if hostname and not wrong:
                warm_make.name(warm, self._layout, hostname)
            return wrong

        try:
            return await in_own_thread(work)
        except CricketError as error:
            return str(error)

    def _sysctls(self) -> dict[str, str]:
        return default_sysctls(self.config.security, all_groups=True)
