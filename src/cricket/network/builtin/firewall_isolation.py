"""`ingressPolicy: same-bridge` of the firewall plugin: from one bridge no packets go to pods on another one.

    FORWARD (first)           everything                              -> CNI-ISOLATION-STAGE-1
    CNI-ISOLATION-STAGE-1     what comes from the bridge and leaves elsewhere -> CNI-ISOLATION-STAGE-2
    CNI-ISOLATION-STAGE-2     what leaves over the bridge             DROP

Both chains return at their ends. The rules are those of release 1.1 of the plugin; those of 1.9 differ in comments
only, and count too. They are for all pods of the bridge, and stay.
"""

from __future__ import annotations

from cricket.kernel import nftables_rule as rules
from cricket.kernel.nftables import Edit
from cricket.kernel.nftables_rule import Rule
from cricket.network.builtin.base import Refused
from cricket.network.builtin.expected import items
from cricket.network.result import Json

_FIRST, _SECOND = "CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"
_COMMENTS = tuple(f"CNI firewall plugin rules (ingressPolicy: {p})" for p in ("same-bridge", "same-bridge|isolated"))


def bridge(found: Json) -> str:
    """The bridge's name, which is a result's first interface. Raises Refused."""
    name = next((str(i.get("name") or "") for i in items(found, "interfaces")), "")
    if not name:
        raise Refused("the ingress policy same-bridge needs a plugin like bridge before this one")
    return name


def plan(bridge_: str, edit: Edit) -> None:
    """Plan what is not there."""
    for chain in (_FIRST, _SECOND):
        edit.ensure_chain("filter", chain)
    _ensure(edit, "FORWARD", _variants(rules.jump(_FIRST)), first=True)
    leaves = _variants(rules.jump(_SECOND), in_interface=bridge_, not_out_interface=bridge_)
    _ensure(edit, _FIRST, leaves, first=True)
    _ensure(edit, _FIRST, _variants(rules.go_back()))
    _ensure(edit, _SECOND, _variants(rules.drop(), out_interface=bridge_), first=True)
    _ensure(edit, _SECOND, _variants(rules.go_back()))


def _variants(verdict: bytes, **interfaces: str) -> list[Rule]:
    """The same rule as the plugin's releases comment it."""
    return [rules.rule(verdict, rules.comment(c), **interfaces) for c in _COMMENTS]  # type: ignore[arg-type]  # names


def _ensure(edit: Edit, chain: str, variants: list[Rule], *, first: bool = False) -> None:
    edit.ensure_chain("filter", chain)
    if not any(edit.matching("filter", chain, *variants)):
        edit.add("filter", chain, variants[0], first=first)
