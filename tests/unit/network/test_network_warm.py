"""Which networks get warm attachments, and which pods fit them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cricket.network import warm
from cricket.network.conf import NetworkConf, parse
from cricket.network.plugin import Plugins
from cricket.network.warm import Terms, Unsafe
from cricket.types.sandbox import PortMapping, SandboxConfig, SandboxMetadata

HOST_LOCAL: dict[str, Any] = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}
BRIDGE: dict[str, Any] = {"type": "bridge", "isGateway": True, "ipam": HOST_LOCAL}
PORTMAP: dict[str, Any] = {"type": "portmap", "capabilities": {"portMappings": True}}
BANDWIDTH: dict[str, Any] = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
INGRESS = {"kubernetes.io/ingress-bandwidth": "1M"}


def network(*plugins: dict[str, Any], **more: Any) -> NetworkConf:
    return parse(msgspec.json.encode({"cniVersion": "1.0.0", "name": "net", "plugins": plugins, **more}), "test")


def decided(*plugins: dict[str, Any], cidrs: tuple[str, ...] = (), **more: Any) -> Terms | Unsafe:
    return warm.terms(network(*plugins, **more), Plugins(["/nosuch"]), cidrs)


def terms(*plugins: dict[str, Any], cidrs: tuple[str, ...] = ()) -> Terms:
    found = decided(*plugins, cidrs=cidrs)
    assert isinstance(found, Terms), found
    return found


def pod(**changes: Any) -> SandboxConfig:
    return SandboxConfig(SandboxMetadata("web", "uid", "default"), **changes)


@pytest.mark.parametrize(
    "plugins",
    [
        [BRIDGE],
        [BRIDGE, PORTMAP, BANDWIDTH, {"type": "tuning", "sysctl": {"net.core.somaxconn": "5"}}],
        [{"type": "ptp", "ipam": HOST_LOCAL}, {"type": "bandwidth", "ingressRate": 1000, "ingressBurst": 1000}],
        [{**BRIDGE, "capabilities": {"mac": True, "ips": True, "ipRanges": True}}],
    ],
)
def test_networks_that_treat_all_pods_alike(plugins: list[dict[str, Any]]) -> None:
    terms(*plugins)


@pytest.mark.parametrize(
    ("plugins", "who"),
    [
        ([{"type": "calico"}], "calico"),
        ([BRIDGE, {"type": "istio-cni"}], "istio-cni"),
        ([{**BRIDGE, "vlan": 5}], "bridge"),
        ([{**BRIDGE, "newOption": True}], "bridge"),
        ([{**BRIDGE, "ipam": {"type": "dhcp"}}], "dhcp"),
        ([{**BRIDGE, "ipam": {"type": "whereabouts"}}], "whereabouts"),
        ([{**BRIDGE, "ipam": {"type": "static", "addresses": [{"address": "10.1.0.5/16"}]}}], "static"),
        ([{**BRIDGE, "args": {"cni": {"ips": ["10.1.0.5"]}}}], "bridge"),
    ],
)
def test_networks_that_may_want_to_know_the_pod(plugins: list[dict[str, Any]], who: str) -> None:
    found = decided(*plugins)
    assert isinstance(found, Unsafe)
    assert f"plugin {who} " in found.reason


def test_networks_without_garbage_collection_get_none() -> None:
    assert isinstance(decided(BRIDGE, disableGC=True), Unsafe)


def test_executables_get_none(tmp_path: Path) -> None:
    assert isinstance(warm.terms(network(BRIDGE), Plugins([str(tmp_path)], builtin=False), ()), Unsafe)


def test_the_digest_changes_with_what_plugins_are_told() -> None:
    ranged = {**BRIDGE, "capabilities": {"ipRanges": True}}
    plain = terms(BRIDGE)
    assert plain.digest == terms(BRIDGE).digest == terms(BRIDGE, cidrs=("10.2.0.0/24",)).digest
    others = [
        terms(ranged),
        terms(ranged, cidrs=("10.2.0.0/24",)),
        terms(ranged, cidrs=("10.3.0.0/24",)),
        terms({**BRIDGE, "mtu": 1400}),
        terms(BRIDGE, PORTMAP),
    ]
    assert len({plain.digest, *(t.digest for t in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"annotations": {"any": "thing"}, "labels": {"app": "web"}, "hostname": "web", "cgroup_parent": "/a"},
        {"port_mappings": (PortMapping(container_port=80),)},  # a port that is only exposed
    ],
)
def test_pods_that_ask_for_nothing_fit(changes: dict[str, Any]) -> None:
    wanted = terms({**BRIDGE, "capabilities": {"mac": True, "ips": True, "ipRanges": True}}, PORTMAP, BANDWIDTH)
    assert warm.fits(pod(**changes), wanted, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"port_mappings": (PortMapping(container_port=80, host_port=8080),)},
        {"annotations": INGRESS},
        {"annotations": {"network.cricket.dev/mac": "c2:11:22:33:44:55"}},
        {"annotations": {"network.cricket.dev/ips": "10.1.0.7"}},
    ],
)
def test_pods_with_wishes_fit_only_where_no_plugin_hears_them(changes: dict[str, Any]) -> None:
    hearing = terms({**BRIDGE, "capabilities": {"mac": True, "ips": True}}, PORTMAP, BANDWIDTH)
    assert not warm.fits(pod(**changes), hearing, ())
    assert warm.fits(pod(**changes), terms(BRIDGE, {"type": "portmap"}), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": SandboxMetadata("a;b=c", "uid", "default")},
        {"annotations": {"kubernetes.io/ingress-bandwidth": "much"}},
        {"port_mappings": (PortMapping(container_port=0, host_port=8080),)},
    ],
)
def test_pods_that_are_refused_anyway_fit_nothing(changes: dict[str, Any]) -> None:
    assert not warm.fits(msgspec.structs.replace(pod(), **changes), terms(BRIDGE), ())


def test_annotations_count_where_a_plugin_gets_them() -> None:
    told = terms(BRIDGE, {"type": "portmap", "capabilities": {"io.kubernetes.cri.pod-annotations": True}})
    assert warm.fits(pod(), told, ())
    assert not warm.fits(pod(annotations={"any": "thing"}), told, ())


def test_another_pod_cidr_fits_only_where_it_does_not_count() -> None:
    ranged = {**BRIDGE, "capabilities": {"ipRanges": True}}
    assert not warm.fits(pod(), terms(ranged, cidrs=("10.2.0.0/24",)), ("10.3.0.0/24",))
    assert warm.fits(pod(), terms(ranged, cidrs=("10.2.0.0/24",)), ("10.2.0.0/24",))
    assert warm.fits(pod(), terms(BRIDGE), ("10.3.0.0/24",))
