"""The bridge plugin: a veth pair from the pod to a bridge of the host (plugins/main/bridge of the standard plugins)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink import IFF_UP, Link, Netlink
from cricket.kernel.netns_thread import visit
from cricket.network import versions
from cricket.network.builtin import bridge_check, bridge_host, masquerading, pod, sysctl, veth
from cricket.network.builtin import routes as route_conf
from cricket.network.builtin.addresses import Cidr, IpConf
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import Args, PluginConf, parse
from cricket.network.builtin.configure import configure
from cricket.network.builtin.ipam import Given, given
from cricket.network.result import Json

_CAPABILITIES = frozenset({"mac", "ips", "ipRanges"})
_POD = 2  # index of the pod's interface in the result


class BridgeConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration, without the keys for which the executable runs: vlan, vlanTrunk, macspoofchk and
    disableContainerInterface, unless they are off.
    """

    bridge: str = "cni0"
    isGateway: bool = False
    isDefaultGateway: bool = False
    forceAddress: bool = False
    ipMasq: bool = False
    ipMasqBackend: str | None = None
    mtu: int = 0
    hairpinMode: bool = False
    promiscMode: bool = False
    portIsolation: bool = False
    enabledad: bool = False
    preserveDefaultVlan: bool = False  # without a VLAN it means nothing
    vlan: int = 0
    macspoofchk: bool = False
    disableContainerInterface: bool = False
    ipam: Json = {}
    args: Args = Args()

    @property
    def gateway(self) -> bool:
        """Whether the bridge gets the gateway's address."""
        return self.isGateway or self.isDefaultGateway


class Bridge(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        c = parse(conf, BridgeConf, _CAPABILITIES)
        if c is None or c.vlan or c.macspoofchk or c.disableContainerInterface or c.mtu < 0:
            return False
        return not c.ipMasq or masquerading.supported(conf)

    def add(self, call: Call) -> Json:
        """Bridge, pair, addresses, routes, gateway. What was made before a failure is left for DEL."""
        conf = _conf(call)
        if conf.hairpinMode and conf.promiscMode:
            raise Refused("hairpinMode and promiscMode cannot both be on")
        with Netlink() as host, pod.opened(call) as netns:
            bridge = bridge_host.ensure_bridge(host, conf.bridge, mtu=conf.mtu, promiscuous=conf.promiscMode)
            mac = veth.parse_mac(str(call.runtime("mac") or conf.args.cni.mac or call.arg("MAC")))
            port = veth.create(
                *(host, netns, call.attachment.ifname),
                mtu=conf.mtu,
                mac=mac,
                bridge=bridge.ifindex,
                hairpin=conf.hairpinMode,
                isolated=conf.portIsolation,
            )
            found = given(call)
            try:
                return self._connect(call, conf, host, netns, bridge, port, found)
            except BaseException:
                if call.ipam is not None:
                    call.ipam.delete()
                raise

    def _connect(
        self, call: Call, conf: BridgeConf, host: Netlink, netns: int, bridge: Link, port: Link, found: Given | None
    ) -> Json:
        ips, routes, gateways = _with_gateways(found, conf) if found else ([], [], [])
        with visit(netns):
            inner = _set_up_pod(call, conf, port.peer, ips, routes)
        if gateways:
            bridge_host.ensure_gateways(host, bridge, gateways, force=conf.forceAddress)
        if conf.ipMasq and found:
            masquerading.setup(call, [str(ip.address) for ip in ips])
        # Asked again: the first port or address may have changed the bridge's MAC.
        port, bridge = veth.when_up(host, port.name, bridge.name)
        out: Json = {
            "cniVersion": versions.NEWEST,
            "interfaces": [
                {"name": bridge.name, "mac": bridge.mac},
                {"name": port.name, "mac": port.mac},
                {"name": inner.name, "mac": inner.mac, "sandbox": call.attachment.netns},
            ],
        }
        if ips:
            out["ips"] = [ip.to_json(_POD) for ip in ips]
        if routes:
            out["routes"] = routes
        dns = msgspec.to_builtins(conf.dns) or (found.dns if found else {})
        return {**out, "dns": dns} if dns else out

    def delete(self, call: Call) -> None:
        """Remove the pair, then release the addresses, then the rules."""
        conf = _conf(call)
        removed = pod.remove_interface(call, with_addresses=conf.ipMasq)
        if call.ipam is not None:
            call.ipam.delete()
        if conf.ipMasq and call.ipam is not None:
            masquerading.teardown(call, removed)

    def check(self, call: Call) -> None:
        """Raises Refused when bridge, pair, addresses or routes are not as in the result."""
        conf = _conf(call)
        if call.ipam is not None:
            call.ipam.check()
        bridge_check.check(call, conf.bridge, promiscuous=conf.promiscMode)


PLUGIN = Bridge()


def _conf(call: Call) -> BridgeConf:
    conf = parse(call.conf, BridgeConf, _CAPABILITIES)
    if conf is None:
        raise Refused("the configuration is not understood")
    return conf


def _with_gateways(found: Given, conf: BridgeConf) -> tuple[list[IpConf], list[Json], list[Cidr]]:
    """The addresses with gateways, the routes with the default ones, and the bridge's own addresses."""
    ips, routes, gateways = list(found.ips), list(found.routes), []  # type: list[IpConf], list[Json], list[Cidr]
    routed: set[bool] = set()
    for i, ip in enumerate(ips):
        six = len(ip.address.address) == 16
        if not ip.gateway and conf.gateway:
            ips[i] = ip = ip._replace(gateway=bridge_host.gateway_of(ip.address))
        if conf.isDefaultGateway and six not in routed:
            routed.add(six)
            default = bridge_host.default_route(six, ip.gateway)
            if not any(r.get("gw") and r.get("dst") == default["dst"] for r in routes):
                routes.append(default)
        if conf.gateway:
            gateways.append(Cidr(ip.gateway, ip.address.prefix))
    return ips, routes, gateways


def _set_up_pod(call: Call, conf: BridgeConf, ifindex: int, ips: list[IpConf], routes: list[Json]) -> Link:
    """The pod's end: in the pod's namespace. Returns it as it is then."""
    ifname = call.attachment.ifname
    with Netlink() as inside:
        look = requests.get_link(ifname)
        if not ips:
            up = requests.set_link(ifname, ifindex=ifindex, flags=IFF_UP, mask=IFF_UP)
            [_, [payload]] = inside.batch([up, look])
            return wire.link(payload)
        if conf.enabledad:
            sysctl.try_write(f"net/ipv6/conf/{ifname}/enhanced_dad", "1")
        sysctl.try_write(f"net/ipv6/conf/{ifname}/accept_dad", "1" if conf.enabledad else "0")
        # Tell the neighbours when the interface comes up: another pod may have had the address before.
        sysctl.try_write(f"net/ipv4/conf/{ifname}/arp_notify", "1")
        [[payload]] = configure(inside, ifindex, ifname, ips, route_conf.parse(routes), look)
        return wire.link(payload)
