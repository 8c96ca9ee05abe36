"""Warm attachments: made before the pod is known for which they will be.

That is proven safe only when no plugin could tell the difference. So every plugin, IPAM included, must be a built-in
that declares itself `anonymous` (of CNI_ARGS it reads nothing that we send), and must be told the same for the pod as
it was told before: `Terms.told` are the capability arguments of the time, and a pod fits when its own, as far as the
plugins declare them, are equal. The attachment's container id is the id that the sandbox will have, so that everything
after ADD is as for any other sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from cricket.errors import CricketError, NotFound
from cricket.kernel.namespaces import is_pinned
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netlink_wire import OPER_UP
from cricket.network import pod_args
from cricket.network.attachment import Attachment, request
from cricket.network.conf import NetworkConf
from cricket.network.plugin import Plugins
from cricket.network.result import Json
from cricket.types.sandbox import SandboxConfig

_FORMAT = 1  # raised when what we make for the same configuration changes


class Unsafe(msgspec.Struct, frozen=True):
    """Why a network gets no warm attachments, for people."""

    reason: str


class Terms(msgspec.Struct, frozen=True):
    """On what warm attachments are made. Those with the same `digest` are alike."""

    conf: NetworkConf
    capabilities: dict[str, object]
    told: tuple[Json, ...]
    digest: str


def terms(conf: NetworkConf, plugins: Plugins, pod_cidrs: Sequence[str]) -> Terms | Unsafe:
    """Decide about a network. Reads nothing but small files that say which iptables the host has."""
    if conf.disable_gc:
        # What outlives a reboot without a record is found by our own GC alone.
        return Unsafe(f"network {conf.name} sets disableGC")
    if not plugins.builtin:
        return Unsafe("network.builtin_plugins is off")
    from cricket.network.builtin import choose  # nodes with other networks never need it

    capabilities = pod_args.of_node(pod_cidrs)
    attachment = Attachment("", "", capabilities=capabilities)
    requests = [request(conf, plugin, attachment=attachment) for plugin in conf.plugins]
    for each in requests:
        who = choose.identifying(each)
        if who:
            return Unsafe(f"network {conf.name}: {who} may want to know the pod")
    told = tuple(_told(each) for each in requests)
    digest = sha256(msgspec.json.encode([_FORMAT, conf.name, conf.version, conf.raw, told])).hexdigest()
    return Terms(conf, capabilities, told, digest)


def fits(config: SandboxConfig, wanted: Terms, pod_cidrs: Sequence[str]) -> bool:
    """Whether the plugins would be told the same for this pod. One that cannot be attached at all fits nothing."""
    try:
        pod_args.cni_args("id", config)
        attachment = Attachment("", "", capabilities=pod_args.capabilities(config, pod_cidrs))
    except CricketError:
        return False
    conf = wanted.conf
    return wanted.told == tuple(_told(request(conf, plugin, attachment=attachment)) for plugin in conf.plugins)


def intact(sandbox_id: str, netns: str, result: Json, wanted: Terms) -> str:
    """What is wrong with a warm attachment, "" for nothing; blocks for about half a millisecond.

    Looks at the namespace, the host's ends and the reservation, not at everything that CHECK looks at. For threads of
    `netns_thread.in_own_thread` and others.
    """
    if not is_pinned(netns):
        return "the namespace is gone"
    try:
        with Netlink() as host:
            return _links(host, result) or _reservations(sandbox_id, netns, wanted)
    except NotFound as e:
        return e.what


def _told(net_conf: Mapping[str, object]) -> Json:
    found = net_conf.get("runtimeConfig")
    return found if isinstance(found, dict) else {}


def _links(host: Netlink, result: Json) -> str:
    interfaces = result.get("interfaces")
    bridge: Link | None = None
    for item in interfaces if isinstance(interfaces, list) else ():
        if item.get("sandbox"):
            continue
        link = host.link(str(item.get("name")))
        if not link.up:
            return f"the interface {link.name} is down"
        if link.kind == "bridge":
            bridge = link
        elif link.kind == "veth":
            # The host's end has a carrier as long as the pod's end is there and up.
            if link.operstate != OPER_UP or link.mac != item.get("mac"):
                return f"the interface {link.name} is another one or has no carrier"
            if link.master != (bridge.ifindex if bridge else 0):
                return f"the interface {link.name} is not where it was"
    return ""


def _reservations(sandbox_id: str, netns: str, wanted: Terms) -> str:
    from cricket.network.builtin import choose
    from cricket.network.builtin.base import Call, Refused

    attachment = Attachment(sandbox_id, netns, capabilities=wanted.capabilities)
    for plugin in wanted.conf.plugins:
        ipam = choose.find_ipam(plugin)
        if ipam is not None:
            try:
                ipam.check(Call(request(wanted.conf, plugin, attachment=attachment), attachment))
            except Refused as e:
                return e.msg
    return ""
