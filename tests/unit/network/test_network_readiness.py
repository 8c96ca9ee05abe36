"""NetworkReady follows files; pod CIDR templates; the default configuration; the gate; the cache."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cricket.errors import AlreadyExists, FailedPrecondition, InvalidArgument, Unavailable
from cricket.network import Network, cache, init
from cricket.network.attachment import Attachment
from cricket.network.conf import parse
from cricket.network.gate import Gate


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    install(directory, "bridge", "host-local", "portmap")
    return directory


def install(directory: Path, *plugins: str) -> None:
    for name in plugins:
        (directory / name).write_text("#!/bin/false\n")
        (directory / name).chmod(0o755)


def conflist(name: str, plugin: str = "bridge", **more: object) -> str:
    return json.dumps({"cniVersion": "1.0.0", "name": name, "plugins": [{"type": plugin}], **more})


async def until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fits():
            await asyncio.sleep(0.005)


async def test_readiness_follows_a_directory_that_comes_and_goes(tmp_path: Path, bin_dir: Path) -> None:
    conf_dir = tmp_path / "etc" / "cni" / "net.d"
    network = Network([str(conf_dir)], [str(bin_dir)], str(tmp_path / "cache"))
    network.start_watch()
    try:
        condition = network.condition()
        assert (condition.type, condition.status, condition.reason) == (
            *("NetworkReady", False, "NetworkPluginNotReady"),
        )
        assert str(conf_dir) in condition.message and "cricket network init" in condition.message
        conf_dir.parent.mkdir(parents=True)
        conf_dir.mkdir()
        (conf_dir / "20-b.conflist").write_text(conflist("b"))
        await until(lambda: network.condition().status)
        (conf_dir / "10-a.conflist").write_text("{")
        await until(lambda: "10-a.conflist" in network.condition().message)
        assert network.condition().status and network.describe()["network"] == "b"
        (conf_dir / "new").write_text(conflist("a", "macvlan"))
        (conf_dir / "new").rename(conf_dir / "10-a.conflist")
        await until(lambda: "macvlan" in network.condition().message)
        assert not network.condition().status
        install(bin_dir, "macvlan")
        assert network.condition().status
        (conf_dir / "10-a.conflist").unlink()
        await until(lambda: network.describe()["network"] == "b")
        conf_dir.rename(tmp_path / "elsewhere")
        await until(lambda: not network.condition().status)
        (tmp_path / "elsewhere").rename(conf_dir)
        await until(lambda: network.condition().status)
        # Plugins beside the list: the directory is made and filled later.
        (conf_dir / "00-z.conflist").write_text('{"cniVersion":"1.0.0","name":"z","loadOnlyInlinedPlugins":false}')
        await until(lambda: "00-z" in network.condition().message)
        (conf_dir / "z").mkdir()
        (conf_dir / "z" / "1.conf").write_text('{"type":"bridge"}')
        (conf_dir / "00-z.conflist").touch()
        (conf_dir / "00-z.conflist").rename(conf_dir / "01-z.conflist")
        await until(lambda: network.describe()["network"] == "z")
        (conf_dir / "z" / "2.conf").write_text('{"type":"absent"}')
        await until(lambda: "absent" in network.condition().message)
    finally:
        network.stop_watch()
        network.stop_watch()


async def test_a_named_default_network_and_live_settings(tmp_path: Path, bin_dir: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        directory.mkdir()
        (directory / "10.conflist").write_text(conflist(directory.name))
    network = Network([str(one)], [str(bin_dir)], str(tmp_path / "cache"), default_network="two")
    network.start_watch()
    try:
        assert "no network has the configured name two (there are: one)" in network.condition().message
        network.reconfigure([str(one), str(two)], [str(bin_dir)], default_network="two")
        assert network.condition().status and network.describe()["network"] == "two"
        (two / "10.conflist").unlink()
        await until(lambda: not network.condition().status)
        with pytest.raises(Unavailable):
            await network._ready.current()
    finally:
        network.stop_watch()


async def test_pod_cidr_fills_the_template_once(tmp_path: Path, bin_dir: Path) -> None:
    template, conf_dir = tmp_path / "template", tmp_path / "net.d"
    ipam = '{"type":"host-local","subnet":"{{.PodCIDR}}"}'
    template.write_text('{"cniVersion":"1.0.0","name":"t","plugins":[{"type":"bridge","ipam":' + ipam + "}]}")
    network = Network([str(conf_dir)], [str(bin_dir)], str(tmp_path / "c"), conf_template=str(template))
    network.start_watch()
    try:
        await network.update_pod_cidr("")
        assert not conf_dir.exists()
        with pytest.raises(InvalidArgument, match="no pod CIDR"):
            await network.update_pod_cidr("nonsense")
        await network.update_pod_cidr("10.1.0.0/24")
        await until(lambda: network.condition().status)
        file = conf_dir / "10-cricket-pod-cidr.conflist"
        assert '"subnet":"10.1.0.0/24"' in file.read_text()
        await network.update_pod_cidr(" 10.2.0.0/24 , fd00::/64 ")
        assert '"subnet":"10.2.0.0/24"' in file.read_text()
        assert network.describe()["podCidrs"] == ("10.2.0.0/24", "fd00::/64")
        file.unlink()
        (conf_dir / "99.conflist").write_text(conflist("mine"))
        await until(lambda: network.describe()["network"] == "mine")
        await network.update_pod_cidr("10.3.0.0/24")
        assert not file.exists()
        (conf_dir / "99.conflist").unlink()
        await until(lambda: not network.condition().status)
        template.write_text('{"name": "{{.PodCIDR}}"')
        with pytest.raises(InvalidArgument, match="JSON"):
            await network.update_pod_cidr("10.3.0.0/24")
        template.unlink()
        with pytest.raises(FailedPrecondition, match="template"):
            await network.update_pod_cidr("10.3.0.0/24")
        assert not file.exists()
    finally:
        network.stop_watch()


def test_init_writes_once(tmp_path: Path) -> None:
    conf_dir = tmp_path / "net.d"
    path = init.write_default(str(conf_dir), ["10.9.0.0/16", "fd00:9::/64"], firewall=True, bandwidth=True)
    conf = parse(Path(path).read_bytes(), path)
    assert conf.plugin_types() == ("bridge", "host-local", "portmap", "firewall", "bandwidth")
    assert [p.name for p in conf_dir.iterdir()] == [init.FILE]
    ipam = conf.plugins[0]["ipam"]
    assert isinstance(ipam, dict) and ipam["ranges"] == [[{"subnet": "10.9.0.0/16"}], [{"subnet": "fd00:9::/64"}]]
    with pytest.raises(AlreadyExists, match=init.FILE):
        init.write_default(str(conf_dir), ["10.10.0.0/16"])
    (conf_dir / init.FILE).rename(conf_dir / "99-other.conf")
    with pytest.raises(AlreadyExists, match="99-other.conf"):
        init.write_default(str(conf_dir), ["10.10.0.0/16"])


def test_the_example_is_what_init_writes() -> None:
    example = Path(__file__).parents[3] / "contrib" / "cni" / "10-cricket.conflist"
    assert example.read_bytes() == init.default_conflist(["10.85.0.0/16"])


@pytest.mark.parametrize(
    "subnets",
    [[], ["x"], ["10.0.0.1/16"], ["10.0.0.0/30"], ["10.0.0.0/16", "10.1.0.0/16"], ["10.0.0.0/8", "fd00::/64"] * 2],
)
def test_init_refuses_unusable_subnets(subnets: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        init.default_conflist(subnets)


def test_free_subnets() -> None:
    assert init.free_subnet([]) == "10.85.0.0/16"
    assert init.free_subnet(["10.85.3.0/24", "10.86.0.0/16", "fd00::/8"]) == "10.87.0.0/16"
    assert init.free_subnet(["10.0.0.0/8"]) == "172.16.0.0/16"
    with pytest.raises(FailedPrecondition):
        init.free_subnet(["10.0.0.0/8", "172.16.0.0/12"])
    assert init.free_subnet([], six=True).startswith("fd") and init.free_subnet([], six=True).endswith("::/64")


async def test_the_gate() -> None:
    gate, seen, go = Gate(), [], asyncio.Event()

    async def operation(name: str, container: str) -> None:
        async with gate.container(container):
            seen.append(f"+{name}")
            await go.wait()
            seen.append(f"-{name}")

    async def collect() -> None:
        async with gate.alone():
            seen.append("gc")

    one, two = asyncio.ensure_future(operation("a1", "a")), asyncio.ensure_future(operation("b1", "b"))
    same = asyncio.ensure_future(operation("a2", "a"))
    await until(lambda: len(seen) == 2)
    collector = asyncio.ensure_future(collect())
    await asyncio.sleep(0)
    late = asyncio.ensure_future(operation("c1", "c"))
    await asyncio.sleep(0)
    assert seen == ["+a1", "+b1"]
    go.set()
    await asyncio.gather(one, two, same, collector, late)
    assert seen.index("gc") > max(seen.index("-a1"), seen.index("-b1"))
    assert seen.index("+c1") > seen.index("gc") and seen.index("+a2") > seen.index("-a1")
    assert gate._locks == {} and gate._inside == 0


async def test_a_cancelled_gc_opens_the_gate_again() -> None:
    gate = Gate()
    async with gate.container("a"):

        async def collect() -> None:
            async with gate.alone():
                raise AssertionError

        task = asyncio.ensure_future(collect())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5), gate.container("b"):
        pass


def test_cache_entries_that_lie_are_not_believed(tmp_path: Path) -> None:
    conf = parse(conflist("net").encode(), "f")
    attachment = Attachment("box", "/ns", args=(("A", "b"),), capabilities={"mac": "x"})
    cache.write(str(tmp_path), conf, attachment, {"cniVersion": "1.0.0"}, durable=True)
    [entry] = cache.read(str(tmp_path), "box")
    assert entry.attachment == attachment and entry.result == {"cniVersion": "1.0.0"} and entry.ours
    assert entry.conf is not None and entry.conf.raw == conf.raw
    results = tmp_path / "results"
    good = (results / "net-box-eth0").read_text()
    (results / "other-box-eth0").write_text(good)  # says it is another file
    (results / "net-box2-eth0").write_text(good.replace('"net"', '"../../x"'))
    (results / "x-box-eth0").write_text("[" * 100_000)
    (results / "y-box-eth0").mkdir()
    (results / "z-box-eth0").write_bytes(b"\xff")
    assert cache.read(str(tmp_path)) == [entry]
    (results / "net-box-eth0").write_text(good.replace('"config":"', '"config":"!'))
    [damaged] = cache.read(str(tmp_path))
    assert damaged.conf is None
    for _ in range(2):
        cache.remove(str(tmp_path), "net", attachment)
    assert cache.read(str(tmp_path)) == []
