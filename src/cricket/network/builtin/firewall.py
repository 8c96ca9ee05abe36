"""The firewall plugin: pods' packets pass the chain FORWARD (plugins/meta/firewall of the standard plugins)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import partial

from cricket.kernel import nftables_rule as rules
from cricket.kernel.nftables import IPV4, IPV6, Edit, transact
from cricket.kernel.nftables_rule import Rule
from cricket.kernel.nftables_support import iptables_is_nft
from cricket.network.builtin import firewall_isolation
from cricket.network.builtin.addresses import parse_cidr
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import PluginConf, parse
from cricket.network.builtin.expected import items, previous
from cricket.network.result import Json

_PRIVATE, _ADMIN = "CNI-FORWARD", "CNI-ADMIN"
_LONGEST_CHAIN = 29
_BUS = "/run/dbus/system_bus_socket"


class FirewallConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration. With firewalld, or the ingress policy `isolated`, the executable runs."""

    backend: str = ""
    iptablesAdminChainName: str = ""
    firewalldZone: str = ""
    ingressPolicy: str = ""

    @property
    def admin_chain(self) -> str:
        """The chain in which an administrator may overrule what the plugin allows."""
        return self.iptablesAdminChainName or _ADMIN


class Firewall(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        return _conf_of(conf) is not None and iptables_is_nft()

    def add(self, call: Call) -> Json:
        """Let what the pod sends, and answers to it, pass. Idempotent."""
        conf = _conf(call)
        found = previous(call)
        for family, ours in _pod_rules(found).items():
            transact(family, partial(_allow, conf, ours))
            if conf.ingressPolicy == "same-bridge":
                bridge = firewall_isolation.bridge(found)
                transact(family, partial(firewall_isolation.plan, bridge))
        return found

    def delete(self, call: Call) -> None:
        """Remove the pod's rules; what pods share stays, as with the plugin. Without prevResult nothing is known."""
        if call.previous is None:
            return
        for family, ours in _pod_rules(previous(call)).items():
            transact(family, partial(_forget, ours))

    def check(self, call: Call) -> None:
        """Raises Refused when a rule of the pod, or one that leads there, is missing."""
        conf = _conf(call)
        for family, ours in _pod_rules(previous(call)).items():
            transact(family, partial(_require, conf, ours))


PLUGIN = Firewall()


def _conf_of(conf: Mapping[str, object]) -> FirewallConf | None:
    found = parse(conf, FirewallConf)
    if found is None or found.ingressPolicy not in ("", "open", "same-bridge"):
        return None
    if len(found.admin_chain.encode()) >= _LONGEST_CHAIN:
        return None
    # As the plugin has it, any other name means: firewalld if it runs.
    return found if found.backend == "iptables" or not _may_run_firewalld() else None


def _conf(call: Call) -> FirewallConf:
    conf = _conf_of(call.conf)
    if conf is None:
        raise Refused("the configuration is not understood")
    return conf


def _may_run_firewalld() -> bool:
    """Whether it can be that firewalld runs; only D-Bus could tell for sure."""
    return os.path.exists(_BUS) and shutil.which("firewalld") is not None


def _pod_rules(found: Json) -> dict[int, list[Rule]]:
    """By family what lets the addresses of a result pass."""
    out: dict[int, list[Rule]] = {}
    for item in items(found, "ips"):
        address = parse_cidr(item.get("address")).address
        whole = address, len(address) * 8
        ours = out.setdefault(IPV4 if len(address) == 4 else IPV6, [])
        ours.append(rules.rule(rules.accept(), rules.established(), destination=whole))
        ours.append(rules.rule(rules.accept(), source=whole))
    return out


def _entry() -> Rule:
    return rules.rule(rules.jump(_PRIVATE), rules.comment("CNI firewall plugin rules"))


def _overrides(conf: FirewallConf) -> Rule:
    return rules.rule(rules.jump(conf.admin_chain), rules.comment("CNI firewall plugin admin overrides"))


def _allow(conf: FirewallConf, ours: list[Rule], edit: Edit) -> None:
    edit.ensure_chain("filter", _PRIVATE)
    edit.ensure_chain("filter", conf.admin_chain)
    edit.ensure("filter", "FORWARD", _entry(), first=True)
    overrides = _overrides(conf)
    for rule in edit.missing("filter", _PRIVATE, [overrides, *ours]):
        edit.add("filter", _PRIVATE, rule, first=rule == overrides)


def _forget(ours: list[Rule], edit: Edit) -> None:
    for found in edit.matching("filter", _PRIVATE, *ours):
        for rule in found:
            edit.delete("filter", _PRIVATE, rule)


def _require(conf: FirewallConf, ours: list[Rule], edit: Edit) -> None:
    for chain, expected in (("FORWARD", [_entry()]), (_PRIVATE, [_overrides(conf), *ours])):
        if edit.missing("filter", chain, expected):
            raise Refused(f"a rule is missing in the chain {chain}")
