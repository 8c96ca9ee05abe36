"""The tuning plugin: sysctls and link settings of the pod's interface (plugins/meta/tuning of the standard plugins)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.errors import Internal, NotFound
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.effects import effect
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netns_thread import visit
from cricket.network.builtin import pod, tuning_backup, tuning_sysctl, veth
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import PluginConf, parse
from cricket.network.result import Json

_CAPABILITIES = frozenset({"mac"})


class TuningArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`args.cni`: each key goes before the configuration's own."""

    sysctl: dict[str, str] | None = None
    mac: str | None = None
    promisc: bool | None = None
    mtu: int | None = None
    allmulti: bool | None = None
    txQLen: int | None = None


class Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `args` section."""

    cni: TuningArgs = TuningArgs()


class TuningConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration."""

    sysctl: dict[str, str] = {}
    mac: str = ""
    promisc: bool = False
    mtu: int = 0
    allmulti: bool | None = None
    txQLen: int | None = None
    dataDir: str = tuning_backup.DATA_DIR
    args: Args = Args()

    @property
    def changes_link(self) -> bool:
        """Whether there is something to put back afterwards."""
        return bool(self.mac or self.promisc or self.mtu) or self.allmulti is not None or self.txQLen is not None


class Tuning(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        c = parse(conf, TuningConf, _CAPABILITIES)
        return c is not None and c.mtu >= 0 and (c.txQLen or 0) >= 0

    def idle(self, command: str, call: Call) -> bool:
        """DEL puts back settings of the link; sysctls go with the namespace."""
        return command == "DEL" and not _conf(call).changes_link

    def add(self, call: Call) -> Json:
        """Set everything; what the link was like is kept for DEL."""
        conf = _conf(call)
        ifname = call.attachment.ifname
        tuning_sysctl.check_allowed(conf.sysctl)
        if call.previous is None:
            raise Refused("prevResult is missing: tuning must be chained behind another plugin")
        with pod.opened(call) as netns, visit(netns):
            for key, value in conf.sysctl.items():
                tuning_sysctl.write(key, value, ifname)
            if not conf.changes_link:
                return call.previous
            with Netlink() as inside:
                link = veth.find(inside, ifname, "the pod's interface")
                tuning_backup.write(call, conf.dataDir, _before(conf, link))
                effect("tuning backup")
                inside.batch([_change(conf, link)])
        return _with_mac(call.previous, ifname, conf.mac) if conf.mac else call.previous

    def delete(self, call: Call) -> None:
        """Put back what the link was like. As with the standard plugin, a failure here stops nothing."""
        conf = _conf(call)
        before = tuning_backup.read(call, conf.dataDir)
        if before is None:
            return
        try:
            if call.attachment.netns:
                with pod.opened(call) as netns, visit(netns), Netlink() as inside:
                    link = inside.find_link(call.attachment.ifname)
                    if link is not None:
                        inside.batch([_change(before, link)])
        except (NotFound, Internal, Refused):
            pass  # the interface goes away next
        tuning_backup.remove(call, conf.dataDir)

    def check(self, call: Call) -> None:
        """Raises Refused when a setting is not as configured."""
        conf = _conf(call)
        if call.previous is None:
            raise Refused("CHECK needs prevResult")
        with pod.opened(call) as netns, visit(netns), Netlink() as inside:
            for key, value in conf.sysctl.items():
                now = tuning_sysctl.read(key, call.attachment.ifname)
                if now != value:
                    raise Refused(f"the sysctl {key} is {now!r}, not {value!r}")
            link = veth.find(inside, call.attachment.ifname, "the pod's interface")
        for name, wanted, found in (
            ("mac", conf.mac or link.mac, link.mac),
            ("promisc", conf.promisc, bool(link.promiscuity)),
            ("mtu", conf.mtu or link.mtu, link.mtu),
            ("allmulti", conf.allmulti, conf.allmulti and bool(link.flags & wire.IFF_ALLMULTI)),
            ("txQLen", conf.txQLen, conf.txQLen and link.txqlen),
        ):
            if wanted != found:
                raise Refused(f"{name} of {link.name} is {found}, not {wanted}")


PLUGIN = Tuning()


def _conf(call: Call) -> TuningConf:
    """With what the pod asks for taken in: CNI_ARGS, then the capability, then `args.cni`."""
    conf = parse(call.conf, TuningConf, _CAPABILITIES)
    if conf is None:
        raise Refused("the configuration is not understood")
    asked: Json = {}
    mac = str(call.runtime("mac") or call.arg("MAC"))
    if mac:
        asked["mac"] = mac
    for key in ("mac", "promisc", "mtu", "allmulti", "txQLen"):
        value = getattr(conf.args.cni, key)
        if value is not None:
            asked[key] = value
    if conf.args.cni.sysctl:
        asked["sysctl"] = conf.sysctl | conf.args.cni.sysctl
    return msgspec.structs.replace(conf, **asked) if asked else conf


def _before(conf: TuningConf, link: Link) -> tuning_backup.Backup:
    return tuning_backup.Backup(
        mac=link.mac if conf.mac else "",
        promisc=bool(link.promiscuity) if conf.promisc else None,
        mtu=link.mtu if conf.mtu else 0,
        allmulti=None if conf.allmulti is None else bool(link.flags & wire.IFF_ALLMULTI),
        txQLen=None if conf.txQLen is None else link.txqlen,
    )


def _change(wanted: TuningConf | tuning_backup.Backup, link: Link) -> requests.Request:
    flags = mask = 0
    # A configuration without `promisc` leaves it as it is.
    promisc = wanted.promisc or (None if isinstance(wanted, TuningConf) else wanted.promisc)
    for on, bit in ((promisc, wire.IFF_PROMISC), (wanted.allmulti, wire.IFF_ALLMULTI)):
        if on is not None:
            mask |= bit
            flags |= bit if on else 0
    mac = veth.parse_mac(wanted.mac)
    return requests.set_link(
        link.name, ifindex=link.ifindex, flags=flags, mask=mask, mac=mac, mtu=wanted.mtu, txqlen=wanted.txQLen
    )


def _with_mac(previous: Json, ifname: str, mac: str) -> Json:
    interfaces = previous.get("interfaces")
    if not isinstance(interfaces, list):
        return previous
    changed = [{**i, "mac": mac} if isinstance(i, dict) and i.get("name") == ifname else i for i in interfaces]
    return {**previous, "interfaces": changed}
