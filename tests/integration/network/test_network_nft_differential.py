"""portmap, firewall, bandwidth and `ipMasq` inside the daemon against the standard plugins' executables.

What is compared: the text of iptables-save and ip6tables-save, queues and filters as tc shows them, sysctls, links and
results; after ADD and after DEL. Each kind CHECKs and DELetes what the other has ADDed. Each host is a network
namespace of the test's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from network_builtin_world import NEWER, World, differences

from cricket.network.builtin import choose

pytestmark = pytest.mark.root

FOUR, SIX = [{"subnet": "10.77.0.0/24"}], [{"subnet": "fd00:77::/64"}]
ODD = [{"subnet": "10.80.0.0/13"}], [{"subnet": "fd00:70::/60"}]


class Case(msgspec.Struct):
    """A chain of plugins. `newer`: only releases of the plugins that speak 1.1.0 know it, `older` only those before."""

    plugins: list[dict[str, Any]]
    prepare: str = ""
    capabilities: dict[str, Any] = {}
    pods: int = 1
    newer: bool = False
    older: bool = False
    version: str = "1.0.0"


def bridge(*ranges: Any, **more: Any) -> dict[str, Any]:
    ipam = {"type": "host-local", "dataDir": "$IPAM", "ranges": list(ranges) or [FOUR]}
    return {"type": "bridge", "bridge": "br0", "isGateway": True, "ipam": ipam, **more}


def ptp(**more: Any) -> dict[str, Any]:
    return {"type": "ptp", "ipam": bridge(FOUR, SIX)["ipam"], **more}


def port(host: int, pod: int, protocol: str = "tcp", ip: str = "") -> dict[str, Any]:
    return {"hostPort": host, "containerPort": pod, "protocol": protocol} | ({"hostIP": ip} if ip else {})


def portmap(*ports: dict[str, Any], base: Any = None, pods: int = 1, prepare: str = "", **more: Any) -> Case:
    plugins = [base or bridge(FOUR, SIX), {"type": "portmap", "capabilities": {"portMappings": True}, **more}]
    return Case(plugins, capabilities={"portMappings": list(ports)}, pods=pods, prepare=prepare)


def firewall(base: Any = None, **more: Any) -> Case:
    return Case([base or bridge(FOUR, SIX), {"type": "firewall", **more}])


def bandwidth(**rates: int) -> Case:
    return Case([bridge(FOUR, SIX), {"type": "bandwidth", **rates}])


BOTH_WAYS = {"ingressRate": 10**7, "ingressBurst": 10**6, "egressRate": 2 * 10**6, "egressBurst": 10**6}
ALL = (port(8080, 80), port(8081, 53, "udp"), port(8082, 36412, "sctp"), port(8083, 81))
MASQUERADED = bridge(FOUR, SIX, ipMasq=True)
CASES = {
    "masquerade": Case([MASQUERADED], pods=3),
    "masquerade odd prefixes": Case([bridge(*ODD, ipMasq=True)]),
    "masquerade two of a family": Case([bridge(FOUR, [{"subnet": "10.78.0.0/16"}], ipMasq=True)]),
    "masquerade of ptp": Case([ptp(ipMasq=True)], pods=2),
    "masquerade backend": Case([bridge(ipMasq=True, ipMasqBackend="iptables")]),
    "portmap": portmap(port(8080, 80)),
    "portmap all protocols": portmap(*ALL, pods=2),
    "portmap behind masquerade": portmap(*ALL, base=MASQUERADED, pods=2),
    "portmap IPv4 only": portmap(*ALL, base=bridge()),
    "portmap IPv6 only": portmap(*ALL, base=bridge(SIX)),
    "portmap odd prefixes": portmap(*ALL, base=bridge(*ODD)),
    "portmap host addresses": portmap(
        port(8080, 80, ip="10.77.0.1"), port(8081, 80, ip="fd00:77::1"), port(8082, 80, ip="0.0.0.0"),
        port(8083, 80, ip="::"), port(8084, 80, "udp", ip="127.0.0.1"), port(8085, 80, "sctp", ip="10.1.2.3"),
    ),
    "portmap many": portmap(*(port(8000 + i, 80 + i) for i in range(33)), port(9000, 1, "udp")),
    "portmap without snat": portmap(*ALL, snat=False),
    "portmap snat": portmap(*ALL, snat=True),
    "portmap markMasqBit": portmap(*ALL, markMasqBit=22),
    "portmap markMasqBit 31": portmap(*ALL, markMasqBit=31),
    "portmap markMasqBit out of range": portmap(*ALL, markMasqBit=32),
    "portmap externalSetMarkChain": portmap(
        *ALL, externalSetMarkChain="MY-MARK", prepare="iptables -t nat -N MY-MARK; ip6tables -t nat -N MY-MARK"
    ),
    "portmap externalSetMarkChain that is missing": portmap(*ALL, externalSetMarkChain="MY-MARK"),
    "portmap no conditions": portmap(*ALL, conditionsV4=[], conditionsV6=[]),
    "portmap masqAll": msgspec.structs.replace(portmap(*ALL, masqAll=True), newer=True),
    "portmap nothing": portmap(),
    "portmap not asked": Case([bridge(), {"type": "portmap", "capabilities": {"portMappings": True}}]),
    "portmap port 0": portmap(port(0, 80)),
    "portmap host address that is none": portmap(port(80, 80, ip="nonsense")),
    "portmap rules of others": portmap(
        *ALL,
        base=MASQUERADED,
        prepare="iptables -t nat -A PREROUTING -p tcp --dport 1 -j ACCEPT; iptables -t nat -A POSTROUTING -j RETURN;"
        "iptables -t nat -A OUTPUT -d 127.0.0.0/8 -j RETURN; ip6tables -t nat -A POSTROUTING -j RETURN",
    ),
    "portmap long name": portmap(*ALL),
    "firewall": msgspec.structs.replace(firewall(), pods=3),
    "firewall IPv6 only": firewall(bridge(SIX)),
    "firewall backend": firewall(backend="iptables"),
    "firewall admin chain": firewall(iptablesAdminChainName="MY-ADMIN"),
    "firewall open": firewall(ingressPolicy="open"),
    "firewall same-bridge": msgspec.structs.replace(firewall(ingressPolicy="same-bridge"), pods=2, older=True),
    "firewall behind rules of others": msgspec.structs.replace(
        firewall(), prepare="iptables -A FORWARD -j ACCEPT; iptables -N CNI-ADMIN; iptables -A CNI-ADMIN -j RETURN"
    ),
    "bandwidth": bandwidth(ingressRate=10_000_000, ingressBurst=1_000_000, egressRate=5_000_000, egressBurst=800_000),
    "bandwidth ingress": bandwidth(ingressRate=1_000_000, ingressBurst=524_288),
    "bandwidth egress": bandwidth(egressRate=123_456_789, egressBurst=7_777_777),
    "bandwidth slow": bandwidth(ingressRate=1000, ingressBurst=8000, egressRate=999, egressBurst=8001),
    "bandwidth fast": bandwidth(ingressRate=40_000_000_000, ingressBurst=4_000_000_000),
    "bandwidth runs over": bandwidth(ingressRate=1_000_000, ingressBurst=(1 << 32) - 1),
    "bandwidth without burst": bandwidth(ingressRate=1_000_000),
    "bandwidth without rate": bandwidth(egressBurst=1_000_000),
    "bandwidth nothing": bandwidth(),
    "bandwidth of the pod": Case(
        [bridge(mtu=1400), {"type": "bandwidth", "capabilities": {"bandwidth": True}}],
        capabilities={"bandwidth": BOTH_WAYS},
        pods=2,
    ),
    "bandwidth of ptp": Case([ptp(), {"type": "bandwidth", "egressRate": 10**6, "egressBurst": 10**6}]),
    "all of them": Case(
        [
            MASQUERADED,
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "firewall"},
            {"type": "bandwidth", **BOTH_WAYS},
        ],
        capabilities={"portMappings": list(ALL)},
        pods=2,
    ),
    "version 0.4.0": msgspec.structs.replace(portmap(*ALL, base=MASQUERADED), version="0.4.0"),
    "version 0.3.1": msgspec.structs.replace(portmap(*ALL, base=MASQUERADED), version="0.3.1"),
    "version 0.2.0": msgspec.structs.replace(portmap(*ALL, base=MASQUERADED), version="0.2.0"),
}  # fmt: skip


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[World, World]]:
    """(where the executables run, where ours do)."""
    pair = World(tmp_path, "x", builtin=False), World(tmp_path, "y", builtin=True)
    yield pair
    for world in pair:
        world.close()


def start(case: Case, world: World) -> list[dict[str, Any]]:
    """Prepare the host and ADD every pod; the results."""
    conf = world.conf(json.dumps({"cniVersion": case.version, "name": "net", "plugins": case.plugins}))
    if case.prepare:
        world.sh(case.prepare)
    results = []
    for i in range(case.pods):
        capabilities = json.loads(json.dumps(case.capabilities))
        for mapping in capabilities.get("portMappings", []):
            mapping["hostPort"] += 1000 * i
        attachment = world.attachment(str(i) * 64, capabilities=capabilities)
        results.append(world.plain(world.add(conf, attachment)))
    return results


def left(world: World) -> dict[str, Any]:
    """What can be seen of a host and its queues."""
    found = world.left()
    shown = world.sh("tc -s qdisc show")
    for link in re.findall(r"dev (\S+)", shown):
        shown += world.sh(f"tc -s filter show dev {link} ingress")
    veths = {name: f"VETH{i}" for i, name in enumerate(sorted(re.findall(r"veth[0-9a-f]{8}", shown)))}
    for name, plain in veths.items():
        shown = shown.replace(name, plain)
    shown = re.sub(r"(?:Sent|backlog|installed) .*|index \d+", "", shown)  # counters, clocks, numbers by chance
    # To look is enough for iptables to make a table that was not there.
    found["host"]["rules"] = [r for r in found["host"]["rules"] if not re.match(r"\*|COMMIT|:[A-Z]+ ACCEPT", r)]
    return {**found, "queues": sorted(line.strip() for line in shown.splitlines())}


@pytest.mark.parametrize("name", CASES)
def test_nft_plugins_do_the_same_as_the_executables(worlds: tuple[World, World], name: str) -> None:
    case = CASES[name]
    if (case.newer and not NEWER) or (case.older and NEWER):
        pytest.skip("the installed plugins are of another release")
    theirs, ours = worlds
    expected, found = start(case, theirs), start(case, ours)
    assert differences(expected, found) == []
    if any("code" in r for r in expected):
        # The executable leaves what pods share, ours nothing.
        assert not [r for r in left(ours)["host"]["rules"] if "CNI-" in r]
        return
    assert differences(left(theirs), left(ours)) == []
    if case.version not in ("0.2.0", "0.3.1"):
        for builtin in (False, True):
            assert theirs.check(builtin=builtin) == ours.check(builtin=builtin)
        assert ours.check(builtin=True) == []
    theirs.delete(builtin=True)
    ours.delete(builtin=False)
    assert differences(left(theirs), left(ours)) == []


def test_no_executable_is_needed() -> None:
    """All cases but one are served in the process."""
    for name, case in CASES.items():
        served = [choose.find(p) is not None for p in case.plugins]
        assert all(served) or name == "portmap markMasqBit out of range", name
