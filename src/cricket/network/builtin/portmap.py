"""The portmap plugin: ports of the host that lead to the pod (plugins/meta/portmap of the standard plugins)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from functools import partial

from cricket.errors import CricketError, Internal
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink import Netlink, Request
from cricket.kernel.nftables import IPV4, IPV6, Edit, existing_chains, transact
from cricket.kernel.nftables_conntrack import forget_udp
from cricket.kernel.nftables_rule import Rule
from cricket.kernel.nftables_support import iptables_is_nft
from cricket.network.builtin import portmap_conf, portmap_rules, sysctl
from cricket.network.builtin.addresses import Cidr
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.portmap_conf import PortmapConf, PortMapping
from cricket.network.result import Json

log = logging.getLogger(__name__)


class Portmap(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        found = portmap_conf.conf_of(conf)
        if found is None:
            return False
        # Only requests tell the version: one without mappings is for a pod that wants none, on whatever host.
        unmapped = bool(found.cniVersion) and not found.runtimeConfig.get("portMappings")
        return unmapped or iptables_is_nft()

    def idle(self, command: str, call: Call) -> bool:
        """A pod without mappings costs nothing; only DEL looks whether there is a chain all the same."""
        return command != "DEL" and not _mapped(call)

    def add(self, call: Call) -> Json:
        """Rules for each family of the pod's addresses. What was made before a failure is left for DEL."""
        conf, mappings = _read(call)
        for address in portmap_conf.pod_addresses(call):
            _forward(call, conf, address, mappings)
        assert call.previous is not None  # pod_addresses has looked
        return call.previous

    def delete(self, call: Call) -> None:
        """Remove the container's chain, which is found by its name alone."""
        if not iptables_is_nft():
            return  # and the pod has no mappings
        chain = portmap_rules.pod_chain(call.network, call.attachment.container_id)
        for family in existing_chains("nat", chain):
            transact(family, lambda edit: edit.remove_branch("nat", portmap_rules.TOP, chain))

    def check(self, call: Call) -> None:
        """Raises Refused when the container's chain, or a rule in it or to it, is missing."""
        conf, mappings = _read(call)
        chain = portmap_rules.pod_chain(call.network, call.attachment.container_id)
        entries = portmap_rules.entries(call.network, call.attachment.container_id, mappings)
        for address in portmap_conf.pod_addresses(call):
            inside = portmap_rules.inside(conf, address, mappings, snat=conf.snat is not False)
            expected = {chain: inside, portmap_rules.TOP: entries}
            transact(_family(address), partial(_require, expected))


PLUGIN = Portmap()


def _read(call: Call) -> tuple[PortmapConf, list[PortMapping]]:
    conf = portmap_conf.conf_of(call.conf)
    if conf is None:
        raise Refused("the configuration is not understood")
    return conf, portmap_conf.mappings(conf)


def _require(expected: dict[str, list[Rule]], edit: Edit) -> None:
    for chain, rules in expected.items():
        if edit.missing("nat", chain, rules):
            raise Refused(f"a rule is missing in the chain {chain}")


def _mapped(call: Call) -> bool:
    return bool(call.runtime("portMappings"))


def _family(address: Cidr) -> int:
    return IPV4 if len(address.address) == 4 else IPV6


def _forward(call: Call, conf: PortmapConf, address: Cidr, mappings: list[PortMapping]) -> None:
    snat = conf.snat is not False
    chain = portmap_rules.pod_chain(call.network, call.attachment.container_id)
    entries = portmap_rules.entries(call.network, call.attachment.container_id, mappings)
    inside = portmap_rules.inside(conf, address, mappings, snat=snat)

    def plan(edit: Edit) -> None:
        portmap_rules.ensure_common(edit, conf, snat=snat)
        edit.ensure_branch("nat", portmap_rules.TOP, chain, inside=inside, entries=entries)

    family = _family(address)
    transact(family, plan)
    _forget_old_flows(family, mappings)
    if snat and family == IPV4:
        _route_localnet(address)


def _forget_old_flows(family: int, mappings: list[PortMapping]) -> None:
    """Who has sent UDP to the port before, to nobody or to an earlier pod, would go on to send there."""
    ports = {m.host_port for m in mappings if m.protocol == "udp"}
    if not ports:
        return
    try:
        forget_udp(family, ports)
    except CricketError as e:
        log.warning("portmap: old UDP flows to the ports %s stay: %s", sorted(ports), e)


def _route_localnet(address: Cidr) -> None:
    """Let packets from 127.0.0.1 leave over the interface that leads to the pod."""
    with Netlink() as netlink:
        try:
            [[answer, *_]] = netlink.batch([_route_to(address)])
        except (CricketError, ValueError):
            return  # as the plugin: without a route there is no interface to be set
    ifindex = wire.route(answer).ifindex
    try:
        name = socket.if_indextoname(ifindex)
    except OSError:
        return
    try:
        sysctl.ensure(f"net/ipv4/conf/{name}/route_localnet", "1")
    except Internal as e:
        raise Refused("cannot let 127.0.0.1 reach the pod", str(e)) from e


def _route_to(address: Cidr) -> Request:
    body = wire.ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0) + wire.attribute(wire.RTA_DST, address.address)
    return Request(wire.RTM_GETROUTE, wire.F_ACK, body, "find the route to the pod")
