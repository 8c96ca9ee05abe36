"""The rules of hostports (plugins/meta/portmap of the standard plugins, with iptables), all in the table nat:

PREROUTING, OUTPUT     to an address of this host              -> CNI-HOSTPORT-DNAT
CNI-HOSTPORT-DNAT      to one of the pod's host ports          -> CNI-DN-<hash of network and container>
CNI-DN-<hash>          from the pod's subnet or 127.0.0.1      -> CNI-HOSTPORT-SETMARK
                       to the host port                        DNAT to the pod
CNI-HOSTPORT-SETMARK   everything                              MARK
POSTROUTING (first)    everything                              -> CNI-HOSTPORT-MASQ
CNI-HOSTPORT-MASQ      what has the mark                       MASQUERADE
"""

from __future__ import annotations

from collections.abc import Sequence

from cricket.kernel import nftables_rule as rules
from cricket.kernel.nftables import Edit
from cricket.kernel.nftables_rule import Rule
from cricket.network.builtin.addresses import Cidr
from cricket.network.builtin.masquerade import chain_name
from cricket.network.builtin.portmap_conf import PortmapConf, PortMapping

TOP, SET_MARK, MASQUERADE = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
_LOCALHOST = b"\x7f\0\0\1", 32


def pod_chain(network: str, container_id: str) -> str:
    """The name of an attachment's own chain."""
    return chain_name(network, container_id, "DN-")


def ensure_common(edit: Edit, conf: PortmapConf, *, snat: bool) -> None:
    """Plan what all pods share, as far as it is not there."""
    if snat and conf.externalSetMarkChain is None:
        mark = rules.rule(rules.set_mark(conf.mark), rules.comment("CNI portfwd masquerade mark"))
        edit.ensure("nat", SET_MARK, mark)
        edit.ensure("nat", MASQUERADE, rules.rule(rules.masquerade(edit.family), rules.marked(conf.mark)))
        if not edit.is_led_to("nat", MASQUERADE):
            entry = rules.rule(rules.jump(MASQUERADE), rules.comment("CNI portfwd requiring masquerade"))
            edit.ensure_chain("nat", "POSTROUTING")
            # First, or `ipMasq` of the bridge plugin would accept what is for the pod's own subnet.
            edit.add("nat", "POSTROUTING", entry, first=True)
    edit.ensure_chain("nat", TOP)
    local = rules.rule(rules.jump(TOP), rules.local_destination())
    edit.ensure("nat", "PREROUTING", local)
    edit.ensure("nat", "OUTPUT", local)


def entries(network: str, container_id: str, mappings: Sequence[PortMapping]) -> list[Rule]:
    """The rules that lead to the pod's chain. As with the plugin, they do not heed host addresses: the chain does."""
    comment = rules.comment(_trim(f'dnat name: "{network}" id: "{container_id}"'))
    target = rules.jump(pod_chain(network, container_id))
    found = []
    for protocol in sorted({m.protocol for m in mappings}):
        ports = [m.host_port for m in mappings if m.protocol == protocol]
        for i in range(0, len(ports), rules.MULTIPORT_LIMIT):
            some = rules.multiport(ports[i : i + rules.MULTIPORT_LIMIT])
            found.append(rules.rule(target, comment, some, protocol=protocol))
    return found


def inside(conf: PortmapConf, address: Cidr, mappings: Sequence[PortMapping], *, snat: bool) -> list[Rule]:
    """The rules of the pod's chain for one of its addresses."""
    set_mark = rules.jump(conf.externalSetMarkChain or SET_MARK)
    sources = [(address.address, 0 if conf.masqAll else address.prefix)]
    if len(address.address) == 4 and not conf.masqAll:
        sources.append(_LOCALHOST)
    found = []
    for m in mappings:
        if not m.is_for(len(address.address)):
            continue
        port = rules.destination_port(m.protocol, m.host_port)
        destination = (m.host_ip, len(m.host_ip) * 8) if any(m.host_ip) else None
        if snat:
            for source in sources:
                rule = rules.rule(set_mark, port, protocol=m.protocol, source=source, destination=destination)
                found.append(rule)
        dnat = rules.dnat(address.address, m.container_port)
        found.append(rules.rule(dnat, port, protocol=m.protocol, destination=destination))
    return found


def _trim(text: str) -> str:
    return text if len(text) <= 255 else text[:253] + "..."
