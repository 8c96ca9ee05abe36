"""The built-in plugins against the standard plugins' executables: for every option the same effects and results.

What is compared: links with all their details, bridge ports, addresses, routes of all tables, every sysctl of every
link, firewall rules, reservation and backup files with their modes, results, error codes; after ADD and after DEL.
Each kind of plugin also CHECKs and DELetes what the other has ADDed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from network_builtin_world import NEWER, World, differences

from cricket.network.builtin import choose
from cricket.network.conf import NetworkConf

pytestmark = pytest.mark.root

A, B = "a" * 64, "b" * 64
RANGES = [[{"subnet": "10.77.0.0/24"}]]
DUAL = [*RANGES, [{"subnet": "fd00:77::/64"}]]
DEFAULT = [{"dst": "0.0.0.0/0"}]


def host_local(ranges: Any = RANGES, **more: Any) -> dict[str, Any]:
    return {"type": "host-local", "dataDir": "$IPAM", "ranges": ranges, **more}


def static(*addresses: Any, **more: Any) -> dict[str, Any]:
    return {"type": "static", "addresses": list(addresses), **more}


def bridge(ipam: Any = None, **more: Any) -> dict[str, Any]:
    """With its own address, or its MAC would by chance be the first or the second pod's."""
    return {"type": "bridge", "bridge": "br0", "isGateway": True, "ipam": ipam or host_local(), **more}


def ptp(ipam: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "ptp", "ipam": host_local() if ipam is None else ipam, **more}


def tuning(**more: Any) -> list[dict[str, Any]]:
    return [bridge(), {"type": "tuning", "dataDir": "$TUNING", **more}]


class Case(msgspec.Struct):
    """A configuration and what surrounds it. Options that are `newer` are unknown to Debian 12's executables."""

    plugins: list[dict[str, Any]]
    prepare: str = ""
    prepare_pod: str = ""
    args: tuple[tuple[str, str], ...] = ()
    capabilities: dict[str, Any] = {}
    version: str = "1.0.0"
    newer: bool = False
    pods: int = 1


MAC = "c2:11:22:33:44:55"
CASES = {
    # bridge
    "bridge without an address": Case([bridge(isGateway=False)]),
    "bridge named cni0": Case([{"type": "bridge", "ipam": host_local()}]),
    "bridge without addresses": Case([{"type": "bridge", "bridge": "br0"}]),
    "bridge isGateway": Case([bridge()], pods=2),
    "bridge isDefaultGateway": Case([bridge(isDefaultGateway=True)]),
    "bridge isDefaultGateway dual stack": Case([bridge(host_local(DUAL), isDefaultGateway=True)], pods=2),
    "bridge isGateway and routes": Case([bridge(host_local(routes=DEFAULT))]),
    "bridge two gateways of IPv6": Case(
        [bridge(host_local([[{"subnet": "fd00:77::/64"}], [{"subnet": "fd00:78::/64"}]]))]
    ),
    "bridge forceAddress": Case(
        [bridge(forceAddress=True)], "ip link add br0 type bridge; ip addr add 10.9.0.1/16 dev br0"
    ),
    "bridge with another address": Case([bridge()], "ip link add br0 type bridge; ip addr add 10.9.0.1/16 dev br0"),
    "bridge there before": Case([bridge()], "ip link add br0 type bridge; sysctl -qw net.ipv4.ip_forward=1"),
    "bridge that is none": Case([bridge()], "ip link add br0 type veth peer name other"),
    "bridge mtu": Case([bridge(mtu=1400)]),
    "bridge hairpinMode": Case([bridge(hairpinMode=True)]),
    "bridge promiscMode": Case([bridge(promiscMode=True)]),
    "bridge hairpinMode and promiscMode": Case([bridge(hairpinMode=True, promiscMode=True)]),
    "bridge portIsolation": Case([bridge(portIsolation=True)], newer=True),
    "bridge preserveDefaultVlan": Case([bridge(preserveDefaultVlan=True)]),
    "bridge enabledad": Case([bridge(host_local(DUAL), enabledad=True)]),
    "bridge ipMasq": Case([bridge(host_local(DUAL), ipMasq=True)], pods=2),
    "bridge options that are off": Case(
        [bridge(vlan=0, macspoofchk=False, disableContainerInterface=False, ipMasq=False, forceAddress=False)]
    ),
    "bridge dns": Case([bridge(dns={"nameservers": ["10.0.0.10"], "search": ["a.example"], "options": ["ndots:5"]})]),
    "bridge mac by capability": Case([bridge(capabilities={"mac": True})], capabilities={"mac": MAC}),
    "bridge mac by args": Case([bridge(args={"cni": {"mac": MAC}})]),
    "bridge mac by CNI_ARGS": Case([bridge()], args=(("IgnoreUnknown", "1"), ("MAC", MAC))),
    "bridge mac that is none": Case([bridge(args={"cni": {"mac": "nonsense"}})]),
    "bridge interface that exists": Case([bridge()], prepare_pod="ip link add eth0 type bridge"),
    "bridge without IPv6 before": Case(
        [bridge(host_local(DUAL))], prepare_pod="sysctl -qw net.ipv6.conf.default.disable_ipv6=1"
    ),
    # host-local
    "host-local subnet": Case([bridge({"type": "host-local", "dataDir": "$IPAM", "subnet": "10.78.0.0/16"})], pods=2),
    "host-local range and gateway": Case(
        [
            bridge(
                host_local(
                    None, subnet="10.78.0.0/16", rangeStart="10.78.3.7", rangeEnd="10.78.3.9", gateway="10.78.3.8"
                )
                | {"ranges": []}
            )
        ],
        pods=2,
    ),
    "host-local subnet and ranges": Case([bridge(host_local([[{"subnet": "fd00:77::/64"}]], subnet="10.78.0.0/16"))]),
    "host-local several ranges in a set": Case(
        [
            bridge(
                host_local(
                    [
                        [
                            {"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.9", "rangeEnd": "10.77.0.9"},
                            {"subnet": "10.78.0.0/24", "gateway": "10.78.0.254"},
                        ]
                    ]
                ),
                forceAddress=True,
            )
        ],
        pods=3,
    ),
    "host-local exhausted": Case(
        [bridge(host_local([[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.9", "rangeEnd": "10.77.0.10"}]]))],
        pods=3,
    ),
    "host-local second set exhausted": Case(
        [
            bridge(
                host_local(
                    [*RANGES, [{"subnet": "fd00:77::/64", "rangeStart": "fd00:77::5", "rangeEnd": "fd00:77::5"}]]
                )
            )
        ],
        pods=2,
    ),
    "host-local routes": Case(
        [bridge(host_local(DUAL, routes=[*DEFAULT, {"dst": "10.99.0.0/16", "gw": "10.77.0.9"}, {"dst": "::/0"}]))]
    ),
    "host-local routes of newer plugins": Case(
        [
            bridge(
                host_local(
                    routes=[
                        {"dst": "10.98.0.0/16", "priority": 7, "table": 1000, "mtu": 1300, "advmss": 1200},
                        {"dst": "10.99.0.0/16", "scope": 253, "table": 99, "gw": "0.0.0.0"},
                    ][:1]
                )
            )
        ],
        newer=True,
    ),
    "host-local route with host bits": Case([bridge(host_local(routes=[{"dst": "10.98.1.1/16"}]))]),
    "host-local resolvConf": Case(
        [bridge(host_local(resolvConf="$TMP/resolv.conf"))],
        "printf '# words\\nnameserver 10.0.0.10\\nnameserver fd00::1\\nsearch a.example b.example\\n"
        "domain c.example\\noptions ndots:5 rotate\\nlonely\\n' > $TMP/resolv.conf",
        newer=True,  # 1.1.1 loses it
    ),
    "host-local without its resolvConf": Case([bridge(host_local(resolvConf="$TMP/absent"))]),
    "host-local ips by capability": Case(
        [bridge(host_local(DUAL), capabilities={"ips": True})],
        capabilities={"ips": ["10.77.0.99", "fd00:77::99/64"]},
    ),
    "host-local ips by args": Case([bridge(args={"cni": {"ips": ["10.77.0.44/24"]}})]),
    "host-local ip by CNI_ARGS": Case([bridge()], args=(("IgnoreUnknown", "true"), ("IP", "10.77.0.45"))),
    "host-local ip that is the gateway's": Case([bridge(args={"cni": {"ips": ["10.77.0.1"]}})]),
    "host-local ip out of range": Case([bridge(args={"cni": {"ips": ["10.77.0.9", "10.1.2.3"]}})]),
    "host-local ip that is taken": Case([bridge(args={"cni": {"ips": ["10.77.0.9"]}})], pods=2),
    "host-local ipRanges": Case(
        [bridge(host_local([]), capabilities={"ipRanges": True})],
        capabilities={"ipRanges": [[{"subnet": "10.79.0.0/24"}], [{"subnet": "fd00:79::/64"}]]},
    ),
    "host-local without ranges": Case([bridge(host_local([]))]),
    "host-local host bits": Case([bridge(host_local([[{"subnet": "10.77.0.1/24"}]]))]),
    "host-local overlap": Case([bridge(host_local([*RANGES, [{"subnet": "10.77.0.128/25"}]]))]),
    "host-local too small": Case([bridge(host_local([[{"subnet": "10.77.0.0/31"}]]))]),
    # static
    "static": Case(
        [
            bridge(
                static(
                    {"address": "10.77.0.5/24", "gateway": "10.77.0.1"}, {"address": "fd00:77::5/64"}, routes=DEFAULT
                )
            )
        ]
    ),
    "static dns": Case(
        [bridge(static({"address": "10.77.0.5/24"}, dns={"nameservers": ["10.0.0.10"], "domain": "a.example"}))],
        newer=True,  # 1.1.1 loses it
    ),
    "static ips by capability": Case(
        [bridge(static({"address": "10.1.0.5/24"}), capabilities={"ips": True})], capabilities={"ips": ["10.77.0.6/24"]}
    ),
    "static ips by args": Case([bridge(static(), args={"cni": {"ips": ["10.77.0.6/24"]}})]),
    "static by CNI_ARGS": Case(
        [bridge(static())],
        args=(("IgnoreUnknown", "1"), ("IP", "10.77.0.7/24,fd00:77::7/64"), ("GATEWAY", "10.77.0.2,fd00:77::2")),
    ),
    "static without an address": Case([bridge(static())]),
    # ptp
    "ptp": Case([ptp()], pods=2),
    "ptp routes, mtu, dns": Case([ptp(host_local(routes=DEFAULT), mtu=1400, dns={"nameservers": ["10.0.0.10"]})]),
    "ptp dual stack": Case([ptp(host_local(DUAL, routes=[*DEFAULT, {"dst": "::/0"}]))], pods=2),
    "ptp ipMasq": Case([ptp(ipMasq=True)]),
    # tuning
    "tuning sysctls": Case(
        tuning(
            sysctl={
                "net.core.somaxconn": "500",
                "net/ipv4/conf/eth0/forwarding": "1",
                "net.ipv4.conf.eth0.rp_filter": "2",
            }
        )
    ),
    "tuning sysctl of IFNAME": Case(tuning(sysctl={"net.ipv4.conf.IFNAME.rp_filter": "2"}), newer=True),
    "tuning sysctl that is not net's": Case(tuning(sysctl={"kernel.shmmax": "1"})),
    "tuning sysctl that climbs": Case(tuning(sysctl={"net/../kernel/shmmax": "1"})),
    "tuning sysctl that is none": Case(tuning(sysctl={"net.ipv4.nonsense": "1"})),
    "tuning link": Case(tuning(mac=MAC, promisc=True, mtu=1300, allmulti=True)),
    "tuning allmulti off": Case(tuning(allmulti=False)),
    "tuning txQLen": Case(tuning(txQLen=77), newer=True),
    "tuning mac by capability": Case(tuning(capabilities={"mac": True}), capabilities={"mac": MAC}),
    "tuning mac by CNI_ARGS": Case(tuning(), args=(("IgnoreUnknown", "1"), ("MAC", MAC))),
    "tuning args": Case(
        tuning(mtu=1200, sysctl={}, args={"cni": {"mtu": 1300, "mac": MAC, "sysctl": {"net.core.somaxconn": "501"}}})
    ),
    # loopback
    "loopback": Case([{"type": "loopback"}]),
    "loopback behind bridge": Case([bridge(), {"type": "loopback"}]),
    # versions
    **{
        f"version {v}": Case([bridge(host_local(DUAL, routes=DEFAULT), mtu=1400)], version=v)
        for v in ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0")
    },
    "version 0.4.0 with tuning": Case(tuning(mac=MAC), version="0.4.0"),
    "version 0.2.0 with two addresses of a family": Case(
        [bridge(host_local([*RANGES, [{"subnet": "10.78.0.0/24"}]]))], version="0.2.0"
    ),
    "version 1.1.0": Case([bridge()], version="1.1.0", newer=True),
}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """(where the executables run, where ours do)."""
    with contextlib.ExitStack() as stack:
        theirs = World(tmp_path, "x", builtin=False)
        stack.callback(theirs.close)
        ours = World(tmp_path, "y", builtin=True)
        stack.callback(ours.close)
        yield theirs, ours


def start(case: Case, world: World) -> list[dict[str, Any]]:
    """Prepare the host and ADD every pod; the results."""
    conf = configured(case, world)
    if world.builtin:
        for plugin in conf.plugins:
            assert choose.executables(plugin) == (), "an executable would run"
    if case.prepare:
        world.sh(case.prepare.replace("$TMP", str(world.tmp)))
    results = []
    for container_id in (A, B, "c" * 64)[: case.pods]:
        if case.prepare_pod:
            world.sh(case.prepare_pod, container_id)
        attachment = world.attachment(container_id, args=case.args, capabilities=case.capabilities)
        results.append(world.plain(world.add(conf, attachment)))
    return results


def configured(case: Case, world: World) -> NetworkConf:
    body = {"cniVersion": case.version, "name": "net", "plugins": case.plugins}
    return world.conf(json.dumps(body))


@pytest.mark.parametrize("name", CASES)
def test_same_as_the_executable(worlds: tuple[World, World], name: str) -> None:
    case = CASES[name]
    theirs, ours = worlds
    if case.newer and not NEWER:
        pytest.skip("the installed plugins are too old for this option")
    expected, found = start(case, theirs), start(case, ours)
    assert differences(expected, found) == []
    assert differences(theirs.left(), ours.left()) == []
    ok = not any("code" in r for r in expected)
    if ok and case.version not in ("0.1.0", "0.2.0", "0.3.0", "0.3.1"):
        by_executables, by_builtins = (ours.check(builtin=b) for b in (False, True))
        assert theirs.check(builtin=False) == by_executables and theirs.check(builtin=True) == by_builtins
        assert len(by_builtins) <= len(by_executables)
    # DEL by the other kind.
    theirs.delete(builtin=True)
    ours.delete(builtin=False)
    after = ours.left()
    assert differences(theirs.left(), after) == []
    assert not [n for n in after["files"] if "last_reserved" not in n]
    left = {link["ifname"] for link in after["host"]["links"]}
    assert left <= {"lo", "noise", "br0", "cni0"} or case.prepare, left


@pytest.mark.parametrize(
    "name", ["bridge isDefaultGateway dual stack", "ptp dual stack", "tuning link", "bridge ipMasq"]
)
def test_del_by_the_same_kind_twice_and_without_the_namespace(worlds: tuple[World, World], name: str) -> None:
    case = msgspec.structs.replace(CASES[name], pods=2)
    for world in worlds:
        start(case, world)
        world.forget_pod(B)
        world.delete(times=2)
    theirs, ours = (w.left() for w in worlds)
    assert [n for n in ours["files"] if "last_reserved" not in n] == []
    if name == "bridge ipMasq":  # the executables of 1.1.1 leave the rules of a pod whose namespace is gone
        assert not [r for r in ours["host"]["rules"] if "CNI-" in r]
        return
    if name != "tuning link":  # the executable leaves the backup of a pod whose namespace is gone
        assert ours == theirs
    assert ours["host"] == theirs["host"]


def test_round_robin_goes_on_where_the_other_kind_stopped(worlds: tuple[World, World]) -> None:
    """One node that switches back and forth: no address is given out twice, none comes back at once."""
    theirs, ours = worlds
    case = Case([bridge()])
    addresses = []
    for number, plugins in enumerate((theirs.plugins, ours.plugins, theirs.plugins, ours.plugins)):
        conf = configured(case, ours)
        answer = ours.add(conf, ours.attachment(f"pod{number}"), plugins=plugins)
        addresses.append(answer["ips"][0]["address"])
        if number == 1:
            ours.delete(builtin=False)
    assert addresses == [f"10.77.0.{n}/24" for n in (2, 3, 4, 5)]
    ours.delete()
    assert ours.left()["files"].keys() == {"ipam/net/last_reserved_ip.0"}


def test_a_second_add_is_refused_as_the_executable_refuses(worlds: tuple[World, World]) -> None:
    for world in worlds:
        conf = configured(Case([bridge()]), world)
        assert "ips" in world.add(conf, world.attachment(A))
        world.sh("ip link del eth0", A)
        # Behind libcni's back: the reservation is there, the cached result is not.
        assert world.add(conf, world.attachment(A))["code"] == 999
    assert worlds[0].left() == worlds[1].left()
