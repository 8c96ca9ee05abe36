"""Which configurations of portmap, firewall and bandwidth are served in the daemon, and what they mean."""

from __future__ import annotations

from typing import Any

import pytest

from cricket.network.attachment import Attachment
from cricket.network.builtin import bandwidth, firewall, portmap, portmap_conf, portmap_rules
from cricket.network.builtin.bandwidth_rates import Rates, bucket
from cricket.network.builtin.base import Call, Refused
from cricket.network.builtin.masquerade import chain_name, hashed
from cricket.network.builtin.portmap_conf import PortMapping

ENTRY = {"hostPort": 80, "containerPort": 8080, "protocol": "tcp"}


@pytest.fixture(autouse=True)
def _nft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap, "iptables_is_nft", lambda: True)
    monkeypatch.setattr(firewall, "iptables_is_nft", lambda: True)


def request_(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": "net", "cniVersion": "1.0.0", **more}


@pytest.mark.parametrize(
    ("more", "understood"),
    [
        ({}, True),
        ({"snat": False, "markMasqBit": 0, "backend": "iptables", "masqAll": True}, True),
        ({"externalSetMarkChain": "KUBE-MARK-MASQ", "conditionsV4": [], "conditionsV6": None}, True),
        ({"capabilities": {"portMappings": True}, "runtimeConfig": {"portMappings": [ENTRY]}}, True),
        ({"backend": "nftables"}, False),
        ({"conditionsV4": ["-d", "10.0.0.1"]}, False),
        ({"conditionsV6": ["-d", "fd00::1"]}, False),
        ({"markMasqBit": 32}, False),
        ({"markMasqBit": -1}, False),
        ({"markMasqBit": 3, "externalSetMarkChain": "X"}, False),
        ({"externalSetMarkChain": "X" * 29}, False),
        ({"snat": "yes"}, False),
        ({"unheard": 1}, False),
        ({"capabilities": {"mac": True}}, False),
        ({"runtimeConfig": {"portMappings": [{**ENTRY, "protocol": "TCP"}]}}, False),
        ({"runtimeConfig": {"portMappings": [{**ENTRY, "more": 1}]}}, False),
        ({"runtimeConfig": {"portMappings": [{"hostPort": 1}]}}, False),
    ],
)
def test_portmap_understands(more: dict[str, Any], understood: bool) -> None:
    assert portmap.PLUGIN.understands(request_("portmap", **more)) is understood


def test_without_mappings_any_host_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap, "iptables_is_nft", lambda: False)
    assert portmap.PLUGIN.understands(request_("portmap"))
    assert not portmap.PLUGIN.understands(request_("portmap", runtimeConfig={"portMappings": [ENTRY]}))
    assert not portmap.PLUGIN.understands({"type": "portmap"}), "an entry does not tell what pods will want"
    call = Call(request_("portmap"), Attachment("a", ""))
    portmap.PLUGIN.delete(call)
    assert portmap.PLUGIN.idle("ADD", call) and portmap.PLUGIN.idle("CHECK", call)
    assert not portmap.PLUGIN.idle("DEL", call)


@pytest.mark.parametrize(
    ("more", "understood"),
    [
        ({}, True),
        ({"backend": "iptables", "iptablesAdminChainName": "MINE", "ingressPolicy": "same-bridge"}, True),
        ({"firewalldZone": "trusted", "ingressPolicy": "open"}, True),
        ({"ingressPolicy": "isolated"}, False),
        ({"iptablesAdminChainName": "X" * 29}, False),
        ({"unheard": 1}, False),
    ],
)
def test_firewall_understands(more: dict[str, Any], understood: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "_may_run_firewalld", lambda: False)
    assert firewall.PLUGIN.understands(request_("firewall", **more)) is understood


def test_with_firewalld_the_executable_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "_may_run_firewalld", lambda: True)
    for backend, understood in (("iptables", True), ("", False), ("firewalld", False)):
        assert firewall.PLUGIN.understands(request_("firewall", backend=backend)) is understood


@pytest.mark.parametrize(
    ("more", "understood"),
    [
        ({}, True),
        ({"ingressRate": 1000, "ingressBurst": 1000}, True),
        ({"runtimeConfig": {"bandwidth": {"egressRate": 1000, "egressBurst": 1}}}, True),
        ({"runtimeConfig": {"bandwidth": {"egressRate": 1000.5}}}, False),
        ({"shapedSubnets": []}, False),
    ],
)
def test_bandwidth_understands(more: dict[str, Any], understood: bool) -> None:
    assert bandwidth.PLUGIN.understands(request_("bandwidth", **more)) is understood


def test_bandwidth_is_idle_without_limits() -> None:
    call = Call(request_("bandwidth"), Attachment("a", ""))
    assert bandwidth.PLUGIN.idle("ADD", call) and not bandwidth.PLUGIN.idle("DEL", call)
    limited = Call(request_("bandwidth", ingressRate=8, ingressBurst=8), Attachment("a", ""))
    assert not bandwidth.PLUGIN.idle("ADD", limited)


@pytest.mark.parametrize(
    "rates",
    [
        Rates(ingressRate=1000),
        Rates(egressBurst=1000),
        Rates(ingressRate=8, ingressBurst=1 << 35),
        Rates(egressRate=-8, egressBurst=8),
        Rates(ingressRate=7, ingressBurst=8),
        Rates(ingressRate=1 << 64, ingressBurst=8),
    ],
)
def test_impossible_rates(rates: Rates) -> None:
    with pytest.raises(Refused):
        rates.check()


def test_buckets() -> None:
    assert bucket(1_000_000, 80_000, 15.625) == (125_000, 13_125, 1_250_000)
    # More than the kernel's clock can say runs over, as it does in the plugin.
    assert bucket(1000, 8 << 30, 15.625).buffer == int(((1 << 30) * 10**6 // 125 & 0xFFFFFFFF) * 15.625) & 0xFFFFFFFF


def test_ports() -> None:
    ports = [PortMapping("tcp", 1000 + i, 80) for i in range(31)] + [PortMapping("udp", 53, 53)]
    assert len(portmap_rules.entries("net", "id", ports)) == 4
    for bad in (0, -1, 65536):
        entry = {**ENTRY, "hostPort": bad}
        conf = portmap_conf.conf_of(request_("portmap", runtimeConfig={"portMappings": [entry]}))
        assert conf is not None
        with pytest.raises(Refused, match="port"):
            portmap_conf.mappings(conf)


def previous(*ips: dict[str, Any], **more: Any) -> Call:
    interfaces = [{"name": "br0"}, {"name": "eth0", "sandbox": "/ns"}, {"name": "eth1", "sandbox": "/ns"}]
    result = {"cniVersion": "1.0.0", "interfaces": interfaces, "ips": list(ips), **more}
    return Call(request_("portmap", prevResult=result), Attachment("a", "/ns"))


def test_pod_addresses_are_the_first_of_each_family_on_the_interface() -> None:
    call = previous(
        {"address": "10.0.0.1/24", "interface": 0},
        {"address": "10.0.0.2/24", "interface": 2},
        {"address": "fd00::5/64", "interface": 1},
        {"address": "10.0.0.3/24", "interface": 1},
        {"address": "10.0.0.4/24"},
    )
    assert [str(a) for a in portmap_conf.pod_addresses(call)] == ["10.0.0.3/24", "fd00::5/64"]
    assert [str(a) for a in portmap_conf.pod_addresses(previous({"address": "10.0.0.4/24"}))] == ["10.0.0.4/24"]
    with pytest.raises(Refused, match="prevResult"):
        portmap_conf.pod_addresses(Call(request_("portmap"), Attachment("a", "/ns")))


def test_names() -> None:
    assert chain_name("tnet", "abc") == "CNI-effb8ec6256d331b9c0349d7"
    assert portmap_rules.pod_chain("tnet", "abc") == "CNI-DN-effb8ec6256d331b9c034"
    assert hashed("bwp", 15, "tnet", "abc") == "bwpeffb8ec6256d"
