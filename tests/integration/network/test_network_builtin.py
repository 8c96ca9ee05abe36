"""The built-in plugins through `Network`, in namespaces of the test."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from network_scene import BIN_DIR, Net, config

from cricket.errors import NotFound
from cricket.kernel import netlink_requests as requests
from cricket.kernel.namespaces import in_netns, pin_namespaces, unpin
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netlink_remove import remove_link
from cricket.kernel.netns_thread import in_own_thread, open_netns, visit
from cricket.network import Network, cache
from cricket.network.plugin import PluginFailed

pytestmark = pytest.mark.root


def alone(net: Net) -> Network:
    """A Network for which no executable is installed but those of the test."""
    return Network([str(net.conf_dir)], [str(net.bin_dir)], str(net.cache_dir))


def links(netns: str) -> dict[str, Link]:
    def work() -> list[Link]:
        with Netlink() as netlink:
            return netlink.links()

    return {link.name: link for link in in_netns(netns, work)}


async def test_no_executable_is_needed(net: Net) -> None:
    net.write(net.bridge_plugin(net.subnet, net.subnet6), {"type": "tuning", "sysctl": {"net.core.somaxconn": "77"}})
    network = alone(net)
    network.start_watch()
    try:
        assert network.condition().status
        assert network.describe()["inProcess"] == ("bridge", "host-local", "tuning")
        sandbox, netns = net.sandbox()
        result = await network.setup(sandbox, netns, config())
        assert result.ips[0] == f"10.198.{net.third}.2" and len(result.ips) == 2
        await network.check(sandbox, netns, config())
        await network.gc([(sandbox, "eth0")])
        await network.gc([])
        assert net.cached() == [] and "eth0" not in links(netns)
    finally:
        network.stop_watch()


async def test_sixteen_at_once_on_a_new_bridge(net: Net) -> None:
    net.write(net.bridge_plugin(net.subnet, net.subnet6))
    network = alone(net)
    boxes = [net.sandbox() for _ in range(16)]
    results = await asyncio.gather(*(network.setup(i, n, config()) for i, n in boxes))
    assert len({ip for r in results for ip in r.ips}) == 32 == len(net.reserved())
    macs = [next(iter(r.result["interfaces"]))["mac"] for r in results]  # type: ignore[call-overload]  # JSON
    with Netlink() as netlink:
        bridge = netlink.link(net.bridge)
        ports = [link for link in netlink.links() if link.master == bridge.ifindex]
    assert len(ports) == 16 and bridge.mac in macs
    await asyncio.gather(*(network.check(i, n, config()) for i, n in boxes[-1:]))
    await asyncio.gather(*(network.teardown(i, n, config()) for i, n in boxes))
    assert net.cached() == [] and net.reserved() == []


async def test_both_kinds_at_once(net: Net) -> None:
    """A node while it is switched over: executables and built-ins share bridge and reservations."""
    net.write(net.bridge_plugin())
    kinds = [net.network(builtin_plugins=bool(i % 2)) for i in range(6)]
    boxes = [net.sandbox() for _ in kinds]
    results = await asyncio.gather(*(k.setup(i, n, config()) for k, (i, n) in zip(kinds, boxes, strict=True)))
    assert len({r.ips for r in results}) == 6
    back = zip(reversed(kinds), boxes, strict=True)
    await asyncio.gather(*(k.teardown(i, n, config()) for k, (i, n) in back))
    assert net.cached() == [] and net.reserved() == []


IPAM = """
case $CNI_COMMAND in
ADD) [ -e {tmp}/fail ] && {{ echo '{{"code":11,"msg":"later","details":"full"}}'; exit 1; }}
     touch {tmp}/reached {tmp}/held; [ -e {tmp}/hang ] && sleep {hang}
     echo '{{"cniVersion":"0.4.0","ips":[{{"version":"4","address":"{address}","gateway":"{gateway}"}}],
            "routes":[{{"dst":"0.0.0.0/0"}}],"dns":{{"nameservers":["10.0.0.10"]}}}}' ;;
DEL) rm -f {tmp}/held ;;
CHECK) [ -e {tmp}/held ] ;;
VERSION) echo '{{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}}' ;;
esac
"""


def own_ipam(net: Net, hang: float = 0) -> None:
    address, gateway = f"10.198.{net.third}.77/24", f"10.198.{net.third}.1"
    net.script("own-ipam", IPAM.format(tmp=net.tmp, hang=hang, address=address, gateway=gateway))
    net.write({**net.bridge_plugin(), "ipam": {"type": "own-ipam"}})


async def test_an_ipam_plugin_of_ones_own(net: Net) -> None:
    own_ipam(net)
    network = alone(net)
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    assert result.ips == (f"10.198.{net.third}.77",)
    assert result.result["dns"] == {"nameservers": ["10.0.0.10"]} and result.result["cniVersion"] == "1.0.0"
    await network.check(sandbox, netns, config())
    (net.tmp / "held").unlink()
    with pytest.raises(PluginFailed, match="own-ipam"):
        await network.check(sandbox, netns, config())
    (net.tmp / "held").touch()
    await network.teardown(sandbox, netns, config())
    assert not (net.tmp / "held").exists() and net.cached() == []


async def test_an_ipam_plugin_that_fails(net: Net) -> None:
    own_ipam(net)
    (net.tmp / "fail").touch()
    sandbox, netns = net.sandbox()
    with pytest.raises(PluginFailed, match="later; full") as caught:
        await alone(net).setup(sandbox, netns, config())
    assert (caught.value.plugin, caught.value.cni_code) == ("own-ipam", 11)
    assert net.cached() == [] and "eth0" not in links(netns)


async def test_a_cancelled_setup_waits_and_cleans_up(net: Net) -> None:
    own_ipam(net, hang=0.2)
    (net.tmp / "hang").touch()
    sandbox, netns = net.sandbox()
    task = asyncio.ensure_future(alone(net).setup(sandbox, netns, config()))
    async with asyncio.timeout(10):
        while not (net.tmp / "reached").exists():
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert net.cached() == [] and not (net.tmp / "held").exists() and "eth0" not in links(netns)


async def test_an_unknown_option_runs_the_executable(net: Net) -> None:
    net.write(net.bridge_plugin(brandNew=True))
    network = net.network()
    network.start_watch()
    assert network.in_process() == ()
    network.stop_watch()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    await network.teardown(sandbox, netns, config())
    sandbox, netns = net.sandbox()
    with pytest.raises(Exception, match="bridge is not installed"):
        await alone(net).setup(sandbox, netns, config())


async def test_an_executable_may_be_without_its_ipam(net: Net) -> None:
    """A plugin that is no built-in needs the IPAM executable, which this process cannot be for it."""
    net.write(net.bridge_plugin(brandNew=True))
    (net.bin_dir / "bridge").symlink_to(f"{BIN_DIR}/bridge")
    network = alone(net)
    network.start_watch()
    assert "host-local" in network.condition().message and not network.condition().status
    network.stop_watch()


async def test_what_was_added_before_the_daemon_died_in_the_middle(net: Net) -> None:
    """The intent is cached, the interface and the reservation are there, the result is not."""
    net.write(net.bridge_plugin())
    network = alone(net)
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    [entry] = cache.read(str(net.cache_dir))
    assert entry.conf is not None
    cache.write(str(net.cache_dir), entry.conf, entry.attachment, None, durable=False)
    again = await alone(net).setup(sandbox, netns, config())
    assert net.reserved() == list(again.ips)
    await alone(net).teardown(sandbox, netns, None)
    assert net.cached() == []


def test_a_removed_link_is_gone_at_once(tmp_path: Path) -> None:
    """At both ends, with its addresses, though the kernel frees it later."""
    host, pod = str(tmp_path / "host"), str(tmp_path / "pod")
    pin_namespaces({"net": host})
    pin_namespaces({"net": pod})

    def remove() -> Link | None:
        with Netlink() as netlink:
            link = netlink.link("eth0")
            remove_link(link.ifindex)
            remove_link(link.ifindex)
            assert link.ifindex not in {a.ifindex for a in netlink.addresses()}
            with pytest.raises(NotFound):
                netlink.addresses(link.ifindex)
            return netlink.find_link("eth0")

    def work() -> None:
        with Netlink() as netlink, open_netns(pod) as fd:
            netlink.batch([requests.new_bridge("br0", mtu=1400)])
            bridge = netlink.link("br0")
            assert bridge.mtu == 1400
            for _ in range(20):
                pair = requests.new_veth(
                    requests.End("h0", up=True), requests.End("eth0", netns_fd=fd), master=bridge.ifindex
                )
                netlink.batch([pair])
                assert netlink.link("h0").master == bridge.ifindex
                assert in_netns(pod, remove) is None
                assert netlink.find_link("h0") is None

    try:
        in_netns(host, work)
    finally:
        unpin([host, pod])


def test_a_batch_goes_on_behind_a_failure_and_raises_the_first(tmp_path: Path) -> None:
    netns = str(tmp_path / "ns")
    pin_namespaces({"net": netns})

    def work() -> None:
        with Netlink() as netlink:
            with pytest.raises(NotFound, match="change the network interface .nope"):
                netlink.batch(
                    [
                        requests.new_bridge("one"),
                        requests.set_link("nope", mtu=1400),
                        requests.delete_link("never"),
                        requests.new_bridge("two"),
                    ]
                )
            assert {link.name for link in netlink.links()} == {"lo", "one", "two"}
            netlink.batch([requests.set_link("one", alias="a pod's", txqlen=7)])
            assert netlink.link("one").txqlen == 7

    try:
        in_netns(netns, work)
    finally:
        unpin([netns])


async def test_a_thread_of_ones_own_comes_back(tmp_path: Path) -> None:
    netns = str(tmp_path / "ns")
    pin_namespaces({"net": netns})

    def names() -> set[str]:
        with Netlink() as netlink:
            return {link.name for link in netlink.links()}

    def work() -> tuple[set[str], set[str]]:
        with open_netns(netns) as fd:
            with visit(fd):
                inside = names()
            return inside, names()

    try:
        inside, outside = await in_own_thread(work)
        assert inside == {"lo"} and outside == names() != inside
        with pytest.raises(ZeroDivisionError):
            await in_own_thread(lambda: 1 / 0)
    finally:
        unpin([netns])
    Path(netns).touch()
    for path in (netns, f"{netns}/below", str(tmp_path / "absent")):
        with pytest.raises(NotFound), open_netns(path):
            pass


async def test_cancelling_a_thread_waits_for_its_end() -> None:
    ended = []

    def work() -> None:
        time.sleep(0.05)
        ended.append(True)

    task = asyncio.ensure_future(in_own_thread(work))
    for _ in range(2):
        await asyncio.sleep(0.005)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
