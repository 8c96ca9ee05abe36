"""`ipMasq`: what leaves the pod's subnet gets the node's address (pkg/ip of the standard plugins, with iptables).

For each attachment a chain of the table nat, with a name made of network and container, and in POSTROUTING a rule for
each address that leads there. The rules are those that the standard plugins have iptables make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha512

from cricket.kernel import nftables_rule as rules
from cricket.kernel.nftables import IPV4, IPV6, Edit, existing_chains, transact
from cricket.kernel.nftables_rule import Rule
from cricket.kernel.nftables_support import iptables_is_nft
from cricket.network.builtin.addresses import Cidr, parse_cidr

_CHAIN_LENGTH = 28
_MULTICAST = {IPV4: Cidr(b"\xe0\0\0\0", 4), IPV6: Cidr(b"\xff" + bytes(15), 8)}


def supported(conf: Mapping[str, object]) -> bool:
    """Whether `ipMasqBackend` and this host want rules of iptables on nf_tables; cheap, called on the event loop."""
    return conf.get("ipMasqBackend") in (None, "iptables") and iptables_is_nft()


def setup(addresses: Sequence[str], *, network: str, ifname: str, container_id: str) -> None:
    """Masquerade what leaves the subnets of `addresses` ("10.1.0.5/16"), but for multicast. Idempotent; blocks.

    As with the standard plugins, `ifname` does not count: two attachments to one network share the chain.
    Raises Refused for what is no address, and CricketError kinds.
    """
    parsed = [parse_cidr(a) for a in addresses]
    for family, size in ((IPV4, 4), (IPV6, 16)):
        ours = [c for c in parsed if len(c.address) == size]
        if ours:
            _setup(family, ours, network, container_id)


def _setup(family: int, addresses: Sequence[Cidr], network: str, container_id: str) -> None:
    chain = chain_name(network, container_id)
    comment = rules.comment(f"name: {_quote(network)} id: {_quote(container_id)}")
    inside: list[Rule] = []
    entries: list[Rule] = []
    for address in addresses:
        inside.append(rules.rule(rules.accept(), comment, destination=address))
        inside.append(rules.rule(rules.masquerade(family), comment, not_destination=_MULTICAST[family]))
        entries.append(rules.rule(rules.jump(chain), comment, source=(address.address, len(address.address) * 8)))

    def plan(edit: Edit) -> None:
        edit.ensure_branch("nat", "POSTROUTING", chain, inside=inside, entries=entries)

    transact(family, plan)


def teardown(addresses: Sequence[str], *, network: str, ifname: str, container_id: str) -> None:
    """Undo it, also what the standard plugins made: the chain and all rules that lead to it. Idempotent; blocks."""
    chain = chain_name(network, container_id)
    for family in existing_chains("nat", chain):
        transact(family, lambda edit: edit.remove_branch("nat", "POSTROUTING", chain))


def chain_name(network: str, container_id: str, prefix: str = "") -> str:
    """The standard plugins' name for a chain of an attachment: "CNI-", `prefix`, and part of a hash."""
    return hashed(f"CNI-{prefix}", _CHAIN_LENGTH, network, container_id)


def hashed(prefix: str, length: int, network: str, container_id: str) -> str:
    """A name of `length` characters for something of an attachment, as the standard plugins make it."""
    return f"{prefix}{sha512((network + container_id).encode()).hexdigest()}"[:length]


def _quote(text: str) -> str:
    """As Go's %q for names and ids, which are printable ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
