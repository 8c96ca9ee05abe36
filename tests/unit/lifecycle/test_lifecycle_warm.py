"""Warm sandboxes: which pods take one, and when the pool makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from cricket.config.model import Config
from cricket.config.model import Network as NetworkConfig
from cricket.errors import Internal
from cricket.lifecycle import warm_fit, warm_make, warm_pool
from cricket.lifecycle.layout import Layout
from cricket.lifecycle.operations import Operations
from cricket.lifecycle.warm_make import Warm
from cricket.lifecycle.warm_pool import WarmPool
from cricket.network.conf import parse
from cricket.network.network import Network
from cricket.network.warm import Terms, Unsafe
from cricket.store.store import Store
from cricket.types.node import Condition
from cricket.types.sandbox import SandboxConfig, SandboxMetadata
from cricket.types.security import IdMapping, NamespaceMode, NamespaceOptions, SandboxSecurity, UserNamespace

_CONF = b'{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}%s]}'


def _terms(more: bytes = b"", digest: str = "d") -> Terms:
    return Terms(parse(_CONF % more, "test"), {}, (), digest)


class _Network:
    """What the pool asks of a network."""

    def __init__(self) -> None:
        self.terms: Terms | Unsafe = _terms()
        self.fitting = self.ready = True
        self.changed: Callable[[], None] = lambda: None

    async def warm_terms(self) -> Terms | Unsafe:
        return self.terms

    def fits(self, config: SandboxConfig, terms: Terms) -> bool:
        return self.fitting

    def condition(self) -> Condition:
        return Condition("NetworkReady", self.ready)

    def on_change(self, changed: Callable[[], None]) -> None:
        self.changed = changed


class _Store:
    sandboxes: dict[str, object] = {}


class Pool:
    """A pool whose sandboxes are names in a list."""

    def __init__(self, tmp: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
        self.network, self.ops = _Network(), Operations()
        self.there: list[str] = []
        self.broken: set[str] = set()
        self.fails = False
        config = Config(network=NetworkConfig(warm_sandboxes=size))
        layout = Layout(str(tmp / "root"), str(tmp / "state"))
        layout.prepare()
        self.pool = WarmPool(config, layout, cast(Network, self.network), cast(Store, _Store()), self.ops)
        monkeypatch.setattr(warm_make, "make", self._make)
        monkeypatch.setattr(warm_make, "remove", self._remove)
        monkeypatch.setattr(warm_make, "read", self._read)
        monkeypatch.setattr(warm_make, "name", lambda *_: None)
        monkeypatch.setattr(warm_pool, "intact", lambda sandbox_id, *_: "gone" if sandbox_id in self.broken else "")
        monkeypatch.setattr(warm_pool, "_PAUSE", 0)
        monkeypatch.setattr(warm_pool, "_QUIET", 0)

    async def _make(self, sandbox_id: str, *args: Any) -> Warm:
        if self.fails:
            raise Internal("no")
        self.there.append(sandbox_id)
        return Warm(sandbox_id, args[3], (), {})

    async def _remove(self, sandbox_id: str, *_: Any) -> None:
        if self.fails:
            raise Internal("no")
        if sandbox_id in self.there:
            self.there.remove(sandbox_id)

    def _read(self, _layout: Layout, sandbox_id: str) -> Warm | None:
        return Warm(sandbox_id, "", (), {}) if sandbox_id in self.there else None

    async def rest(self) -> None:
        """Until it does nothing."""
        await asyncio.wait_for(self.ops.drain(5), 5)
        assert self.ops.running() == []


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    return Pool(tmp_path, monkeypatch, 3)


def _config(**changes: Any) -> SandboxConfig:
    return msgspec.structs.replace(SandboxConfig(SandboxMetadata("web", "uid", "default")), **changes)


async def test_it_is_filled_and_then_rests(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    assert (len(made.there), made.pool.ready) == (3, 3)


async def test_none_costs_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Pool(tmp_path, monkeypatch, 0)
    made.pool.start()
    assert made.ops.running() == []
    assert await made.pool.take(_config()) is None


async def test_nothing_is_made_while_pods_start(made: Pool) -> None:
    with made.pool.pod_starts():
        made.pool.start()
        for _ in range(20):
            await asyncio.sleep(0)
        assert made.there == []
    await made.rest()
    assert len(made.there) == 3


async def test_a_pod_takes_the_oldest_and_another_is_made(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    with made.pool.pod_starts():
        warm = await made.pool.take(_config())
        assert warm is not None
        assert warm.id == made.there[0]
        assert warm.id not in made.pool.ids()
    await made.rest()
    assert len(made.there) == 4


async def test_what_is_broken_or_made_on_other_terms_is_not_taken(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    made.broken = set(made.there)
    before = made.pool.describe()
    assert await made.pool.take(_config()) is None
    made.broken.clear()
    made.pool.kick()
    await made.rest()
    made.network.terms = _terms(digest="another")
    assert await made.pool.take(_config()) is None
    assert cast(int, made.pool.describe()["empty"]) - cast(int, before["empty"]) == 2
    made.network.changed()
    await made.rest()
    assert (len(made.there), made.pool.ready) == (3, 3)
    assert await made.pool.take(_config()) is not None


@pytest.mark.parametrize("change", [{"fitting": False}, {"ready": False}, {"terms": Unsafe("why")}])
async def test_pods_that_do_not_fit_leave_it_alone(made: Pool, change: dict[str, Any]) -> None:
    made.pool.start()
    await made.rest()
    for name, value in change.items():
        setattr(made.network, name, value)
    assert await made.pool.take(_config()) is None
    assert made.pool.ready == 3


async def test_a_network_that_is_not_safe_any_more_empties_it(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    made.network.terms = Unsafe("why")
    made.network.changed()
    await made.rest()
    assert (made.there, made.pool.ready) == ([], 0)
    assert "why" in str(made.pool)


async def test_after_a_failure_it_waits(made: Pool) -> None:
    made.fails = True
    made.pool.start()
    await made.rest()
    assert made.pool.describe()["trouble"] == "no"
    made.fails = False
    made.pool.kick()
    await made.rest()
    assert made.there == []


async def test_what_nobody_has_claimed_comes_back(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    warm = await made.pool.take(_config())
    assert warm is not None
    made.pool.give_back(warm)
    assert made.pool.ready == 3
    made.there.remove(warm.id)
    gone = await made.pool.take(_config())
    assert gone is not None
    made.there.clear()
    made.pool.give_back(gone)
    assert gone.id not in made.pool.ids()


async def test_pods_go_before_it(made: Pool) -> None:
    made.pool.start()
    await made.rest()
    began = time.monotonic()
    # Two pods fail at once: what was given up for one is there for the other.
    assert await asyncio.gather(made.pool.give_up(began), made.pool.give_up(began)) == [True, True]
    assert made.there == []
    made.pool.kick()
    await made.rest()
    assert made.there == []
    assert not await made.pool.give_up(time.monotonic())


async def test_the_end_takes_it_away_unless_there_are_pods(made: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    made.pool.start()
    await made.rest()
    made.pool.stop()
    monkeypatch.setattr(_Store, "sandboxes", {"pod": None})
    await made.pool.leave()
    assert len(made.there) == 3
    monkeypatch.setattr(_Store, "sandboxes", {})
    await made.pool.leave()
    assert made.there == []


def _options(**changes: Any) -> dict[str, Any]:
    return {"security": SandboxSecurity(namespaces=NamespaceOptions(**changes))}


_USERS = UserNamespace(NamespaceMode.POD, (IdMapping(0, 200000, 65536),), (IdMapping(0, 200000, 65536),))


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        (_options(pid=NamespaceMode.CONTAINER), True),
        (_options(network=NamespaceMode.NODE), False),
        (_options(ipc=NamespaceMode.NODE), False),
        (_options(userns=_USERS), False),
        ({"annotations": {"io.kubernetes.cri-o.ShmSize": "1Mi"}}, False),
        ({"sysctls": {"kernel.shmmax": "5", "net.ipv4.tcp_syncookies": "0", "net/core/somaxconn": "7"}}, True),
        ({"sysctls": {"net.ipv4.conf.all.rp_filter": "1"}}, False),
        ({"sysctls": {"net/ipv4/ip_forward": "1"}}, False),
        ({"sysctls": {"net.ipv6.conf.default.disable_ipv6": "1"}}, False),
    ],
)
def test_which_pods_fit(changes: dict[str, Any], fits: bool) -> None:
    network = cast(Network, _Network())
    assert warm_fit.fits(_config(**changes), network, _terms()) is fits


def test_sysctls_of_pods_do_not_go_before_those_of_plugins() -> None:
    tuned = _terms(b', {"type": "tuning", "sysctl": {}}')
    network = cast(Network, _Network())
    assert warm_fit.fits(_config(sysctls={"kernel.shmmax": "5"}), network, tuned)
    assert not warm_fit.fits(_config(sysctls={"net.ipv4.tcp_syncookies": "0"}), network, tuned)
