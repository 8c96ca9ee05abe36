"""Pulls that run together, are cancelled, are killed, and go on afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from remote_support import FakeRegistry, Handler, Puller, TestImage, alive, children, noise, running

from cricket.errors import Internal, NotFound
from cricket.types.image import RegistryAuth

pytestmark = pytest.mark.root


@pytest_asyncio.fixture
async def puller(tmp_path: Path) -> AsyncIterator[Puller]:
    found = Puller(tmp_path)
    found.be_quick()
    yield found
    await found.service.close()
    found.store.close()
    assert workers() == []


@pytest.fixture
def image() -> TestImage:
    return TestImage([{"big": noise(3_000_000)}, {"small": b"x"}])


@pytest.fixture
def registry(image: TestImage) -> Iterator[FakeRegistry]:
    with running(FakeRegistry(image)) as found:
        yield found


class Valve:
    """Lets a blob through up to `size` bytes, and the rest when it is opened."""

    def __init__(self, registry: FakeRegistry, name: str, size: int) -> None:
        self.name, self.size = name, size
        self.reached, self.opened = threading.Event(), threading.Event()
        registry.behaviour = self

    def __call__(self, handler: Handler) -> bool:
        if self.name not in handler.path or handler.headers.get("Range") or self.opened.is_set():
            return False
        data = handler.registry.blobs[self.name]
        handler.begin(200, len(data))
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(data[: self.size])
            self.reached.set()
            while not self.opened.wait(0.02) and not handler.registry.closing.is_set():
                pass
            handler.wfile.write(data[self.size :])
        return True


def workers() -> list[int]:
    found = []
    for pid in children(os.getpid()):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            if b"cricket.images.worker" in f.read():
                found.append(pid)
    return found


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.005)


def partial(puller: Puller, name: str) -> int:
    path = Path(puller.store.content.ingest, name.partition(":")[2])
    return path.stat().st_size if path.exists() else 0


async def test_those_who_want_the_same_share_one_worker(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    valve = Valve(registry, image.layers[0]["digest"], 100_000)
    host = registry.host
    pulls = [asyncio.ensure_future(puller.pull(name)) for name in (f"{host}/a", f"{host}/a:latest", f"{host}/a")]
    await until(valve.reached.is_set)
    assert len(workers()) == 1
    valve.opened.set()
    assert {i.id for i in await asyncio.gather(*pulls)} == {image.id}
    assert len(puller.outcomes) == 1


async def test_other_credentials_are_another_pull(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    valve = Valve(registry, image.layers[0]["digest"], 100_000)
    one = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    two = asyncio.ensure_future(puller.pull(f"{registry.host}/a", RegistryAuth(username="u", password="p")))
    await until(lambda: len(workers()) == 2 and valve.reached.is_set())
    valve.opened.set()
    assert {i.id for i in await asyncio.gather(one, two)} == {image.id}
    assert len(puller.outcomes) == 2
    assert len(registry.paths(image.layers[0]["digest"])) == 1, "they share the download all the same"
    assert sum(o.downloaded for o in puller.outcomes) == sum(layer["size"] for layer in image.layers)


async def test_one_who_leaves_does_not_disturb_the_rest(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    valve = Valve(registry, image.layers[0]["digest"], 100_000)
    stays, leaves = (asyncio.ensure_future(puller.pull(f"{registry.host}/a")) for _ in range(2))
    await until(valve.reached.is_set)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert len(workers()) == 1
    valve.opened.set()
    assert (await stays).id == image.id


async def test_the_last_who_leaves_stops_it_and_the_next_goes_on(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    big = image.layers[0]["digest"]
    valve = Valve(registry, big, 1_000_000)
    pull = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    await until(lambda: partial(puller, big) >= 900_000)
    (pid,) = workers()
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    await until(lambda: not alive(pid))
    valve.opened.set()
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert int(registry.headers(big)[-1]["range"][6:-1]) >= 900_000


async def test_a_killed_worker_is_an_error_and_the_next_pull_goes_on(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    big = image.layers[0]["digest"]
    valve = Valve(registry, big, 1_000_000)
    pull = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    await until(lambda: partial(puller, big) >= 900_000)
    os.kill(workers()[0], signal.SIGKILL)
    with pytest.raises(Internal, match="ended with code 137"):
        await pull
    assert puller.store.list() == []
    valve.opened.set()
    found = await puller.pull(f"{registry.host}/a")
    assert puller.read(found, "big") == noise(3_000_000)
    assert int(registry.headers(big)[-1]["range"][6:-1]) >= 900_000


PARENT = """
import asyncio, sys
from cricket.config.model import Images
from cricket.images.pull import PullService
from cricket.images.store import ImageStore
async def main():
    service = PullService(ImageStore(sys.argv[1]), Images(certs_dirs=(), registries_conf=(), docker_configs=()))
    await service.pull(sys.argv[2])
asyncio.run(main())
"""


async def test_the_worker_dies_with_the_daemon(
    registry: FakeRegistry, puller: Puller, image: TestImage, tmp_path: Path
) -> None:
    big = image.layers[0]["digest"]
    valve = Valve(registry, big, 1_000_000)
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path / "images"), f"{registry.host}/a"
    )
    await until(lambda: partial(puller, big) >= 900_000)
    (worker,) = children(daemon.pid)
    daemon.kill()
    await daemon.wait()
    await until(lambda: not alive(worker))
    valve.opened.set()
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    await puller.store.collect()
    assert os.listdir(tmp_path / "images" / "leases") == []


async def test_two_processes_share_layers(
    registry: FakeRegistry, puller: Puller, image: TestImage, tmp_path: Path
) -> None:
    other = TestImage([{"big": noise(3_000_000)}, {"other": b"y"}])
    registry.add(other, "other")
    big = image.layers[0]["digest"]
    valve = Valve(registry, big, 1_000_000)
    one = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    await until(valve.reached.is_set)
    two = asyncio.ensure_future(puller.pull(f"{registry.host}/b:other"))
    await until(lambda: len(workers()) == 2 and registry.paths(other.layers[1]["digest"]))
    valve.opened.set()
    assert ((await one).id, (await two).id) == (image.id, other.id)
    assert len(registry.paths(big)) == 1
    assert os.listdir(tmp_path / "images" / "staging") == []


async def test_pulls_are_limited_and_wait_in_line(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    import msgspec

    puller.service.reload(msgspec.structs.replace(puller.config, max_concurrent_pulls=1))
    valve = Valve(registry, image.layers[0]["digest"], 100_000)
    one, two = (asyncio.ensure_future(puller.pull(f"{registry.host}/{name}")) for name in "ab")
    await until(valve.reached.is_set)
    waiting = puller.service.progress(f"{registry.host}/b")
    assert len(workers()) == 1 and waiting is not None and waiting.stage == "waiting"
    valve.opened.set()
    await asyncio.gather(one, two)
    assert puller.service.active() == []


async def test_progress_can_be_watched(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    name = f"{registry.host}/a"
    valve = Valve(registry, image.layers[0]["digest"], 1_000_000)
    pull = asyncio.ensure_future(puller.pull(name))
    await until(lambda: puller.service.progress(name))
    seen = []
    async for progress in puller.service.watch(name):
        seen.append(progress)
        if progress.received >= 500_000:
            valve.opened.set()
    await pull
    assert {"resolving", "fetching"} <= {p.stage for p in seen}
    assert seen[-1].total == sum(layer["size"] for layer in image.layers)
    assert [layer.state for layer in seen[-1].layers] == ["done", "done"]
    assert puller.service.progress(name) is None
    assert [p async for p in puller.service.watch(name)] == []


async def test_an_image_removed_while_its_tag_is_asked_for(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    name = f"{registry.host}/a"
    await puller.pull(name)
    asked = threading.Event()
    go = threading.Event()

    def behave(handler: Handler) -> bool:
        if handler.command == "HEAD":
            asked.set()
            go.wait(20)
        return False

    registry.behaviour = behave
    pull = asyncio.ensure_future(puller.pull(name))
    await until(asked.is_set)
    await puller.store.remove(name)
    go.set()
    assert (await pull).id == image.id


async def test_lost_layers_are_pulled_again(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    found = await puller.pull(f"{registry.host}/a")
    puller.store.snapshots.remove_layer(found.chain_id)
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert puller.read(found, "small") == b"x"
    assert len(registry.paths(image.layers[1]["digest"])) == 1, "the blob was still here"


async def test_a_collection_amid_a_pull_takes_nothing(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    valve = Valve(registry, image.layers[1]["digest"], 50)
    pull = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    await until(lambda: puller.store.snapshots.layers.list())
    assert (await puller.store.collect()) == type(await puller.store.collect())()
    valve.opened.set()
    assert (await pull).id == image.id
    assert len(registry.paths("blobs")) == 3


async def test_several_may_empty_the_same_trash(puller: Puller) -> None:
    layers = puller.store.snapshots.layers
    for n in range(20):
        tree = Path(layers.trash, f"old{n}")
        for d in range(10):
            (tree / f"d{d}" / "e").mkdir(parents=True)
            (tree / f"d{d}" / "f").write_text("x")
    await asyncio.gather(*(asyncio.to_thread(layers.empty_trash) for _ in range(4)))
    assert os.listdir(layers.trash) == []


async def test_blobs_need_not_be_kept(registry: FakeRegistry, tmp_path: Path, image: TestImage) -> None:
    import msgspec

    from cricket.images.store import ImageStore

    puller = Puller(tmp_path / "other")
    puller.store.close()
    puller.store = puller.service._store = ImageStore(str(tmp_path / "lean"), keep_blobs=False)
    puller.service.reload(msgspec.structs.replace(puller.config, keep_blobs=False))
    try:
        found = await puller.pull(f"{registry.host}/a")
        await until(lambda: not puller.store.content.has(image.layers[0]["digest"]))
        assert puller.read(found, "big") == noise(3_000_000)
    finally:
        await puller.service.close()
        puller.store.close()


async def test_failures_are_not_remembered(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await puller.pull(f"{registry.host}/a:missing")
    registry.add(image, "missing")
    assert (await puller.pull(f"{registry.host}/a:missing")).id == image.id


async def test_closing_stops_everything(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    valve = Valve(registry, image.layers[0]["digest"], 1_000)
    pull = asyncio.ensure_future(puller.pull(f"{registry.host}/a"))
    await until(valve.reached.is_set)
    await puller.service.close()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert workers() == []


async def test_the_next_worker_waits_for_the_next_pull(registry: FakeRegistry, puller: Puller) -> None:
    assert workers() == []
    await puller.pull(f"{registry.host}/a")
    await until(workers)
    (standby,) = workers()
    await puller.pull(f"{registry.host}/a")
    assert not alive(standby)
    await until(workers)
    (standby,) = workers()
    os.kill(standby, signal.SIGKILL)
    await until(lambda: not alive(standby))
    await puller.pull(f"{registry.host}/a")
    await until(lambda: len(workers()) == 1)


async def test_it_does_not_wait_for_ever(registry: FakeRegistry, puller: Puller) -> None:
    puller.service._workers.patience = 0.05
    await puller.pull(f"{registry.host}/a")
    await until(lambda: workers() == [])


def descriptors() -> int:
    """Pipes, memory files and pidfds of this process (its sockets are the registry's)."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{fd}").startswith(("pipe:", "/memfd:", "anon_inode:[pidfd]"))
    return count


async def test_a_worker_stays_small_and_leaks_no_descriptor(registry: FakeRegistry, puller: Puller) -> None:
    large = TestImage([{f"f{n}": noise(2_000_000, n) for n in range(20)} for _ in range(2)])
    registry.add(large, "large")
    before, peak = descriptors(), 0
    await puller.pull(f"{registry.host}/a")

    async def measure() -> None:
        nonlocal peak
        while True:
            for pid in workers():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
                    peak = max([peak, *(int(line.split()[1]) for line in f if line.startswith("VmHWM"))])
            await asyncio.sleep(0.01)

    task = asyncio.ensure_future(measure())
    await puller.pull(f"{registry.host}/a:large")
    task.cancel()
    assert 0 < peak < 64 << 10, f"{peak} KiB for a layer of 40 MB"
    await puller.service.close()
    assert descriptors() == before
