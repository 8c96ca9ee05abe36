"""The ptp plugin: a veth pair between pod and host without a bridge (plugins/main/ptp of the standard plugins).

The pod sends even what is for its own subnet to the host, which answers ARP for the gateway's address and routes.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

import msgspec

from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink import Link, Netlink
from cricket.kernel.netns_thread import visit
from cricket.network import versions
from cricket.network.builtin import expected, masquerading, pod, sysctl, veth
from cricket.network.builtin import routes as route_conf
from cricket.network.builtin.addresses import IpConf
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.builtin.conf import Args, PluginConf, parse
from cricket.network.builtin.configure import configure
from cricket.network.builtin.ipam import Given, given
from cricket.network.result import Json

_CAPABILITIES = frozenset({"ips", "ipRanges"})
_POD = 1  # index of the pod's interface in the result


class PtpConf(PluginConf, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration."""

    ipMasq: bool = False
    ipMasqBackend: str | None = None
    mtu: int = 0
    ipam: Json
    args: Args = Args()


class Ptp(Builtin):
    """See the module."""

    anonymous = True

    def understands(self, conf: Mapping[str, object]) -> bool:
        """See `Builtin`."""
        c = parse(conf, PtpConf, _CAPABILITIES)
        if c is None or not c.ipam.get("type") or c.mtu < 0:
            return False
        return not c.ipMasq or masquerading.supported(conf)

    def add(self, call: Call) -> Json:
        """Addresses, pair, routes at both ends. What was made before a failure is left for DEL."""
        conf = _conf(call)
        found = given(call)
        if call.ipam is None or found is None:
            raise Refused("ptp needs an ipam section")
        try:
            return self._connect(call, conf, found)
        except BaseException:
            call.ipam.delete()
            raise

    def _connect(self, call: Call, conf: PtpConf, found: Given) -> Json:
        for ip in found.ips:
            if not ip.gateway:
                raise Refused(f"ptp needs a gateway for {ip.address}, and IPAM gave none")
        for six in {len(ip.address.address) == 16 for ip in found.ips}:
            sysctl.forward(six=six)
        with Netlink() as host, pod.opened(call) as netns:
            port = veth.create(host, netns, call.attachment.ifname, mtu=conf.mtu)
            with visit(netns):
                inner = _set_up_pod(call, port.peer, found)
            batch = []
            for ip in found.ips:
                batch.append(requests.add_address(port.ifindex, ip.gateway, ip.address.bits))
                batch.append(_host_route(port.ifindex, ip))
            host.batch(batch)
        if conf.ipMasq:
            masquerading.setup(call, [str(ip.address) for ip in found.ips])
        out: Json = {
            "cniVersion": versions.NEWEST,
            "interfaces": [
                {"name": port.name, "mac": port.mac},
                {"name": inner.name, "mac": inner.mac, "sandbox": call.attachment.netns},
            ],
            "ips": [ip.to_json(_POD) for ip in found.ips],
        }
        if found.routes:
            out["routes"] = found.routes
        dns = msgspec.to_builtins(conf.dns) or found.dns
        return {**out, "dns": dns} if dns else out

    def delete(self, call: Call) -> None:
        """Remove the pair, then release the addresses, then the rules."""
        conf = _conf(call)
        removed = pod.remove_interface(call, with_addresses=conf.ipMasq)
        if call.ipam is not None:
            call.ipam.delete()
        if conf.ipMasq:
            masquerading.teardown(call, removed)

    def check(self, call: Call) -> None:
        """Raises Refused when the pod's interface, addresses or routes are not as in the result."""
        if call.ipam is not None:
            call.ipam.check()
        found = expected.previous(call)
        with pod.opened(call) as netns, visit(netns), Netlink() as inside:
            expected.check_pod(call, found, inside)


PLUGIN = Ptp()


def _conf(call: Call) -> PtpConf:
    conf = parse(call.conf, PtpConf, _CAPABILITIES)
    if conf is None:
        raise Refused("the configuration is not understood")
    return conf


def _set_up_pod(call: Call, ifindex: int, found: Given) -> Link:
    """The pod's end: in the pod's namespace. Returns it as it is then."""
    with Netlink() as inside:
        ifname = call.attachment.ifname
        configure(inside, ifindex, ifname, found.ips, route_conf.parse(found.routes))
        batch = []
        for ip in found.ips:
            subnet, own = ip.address.subnet, ip.address.address
            batch += [
                # The kernel's: with it the pod would look for its neighbours on the link.
                requests.delete_route(ifindex, *subnet),
                requests.add_route(ifindex, ip.gateway, subnet.bits, source=own, scope=requests.SCOPE_LINK),
                requests.add_route(ifindex, *subnet, gateway=ip.gateway, source=own),
            ]
        *_, [payload] = inside.batch([*batch, requests.get_link(ifname)])
        return wire.link(payload)


def _host_route(ifindex: int, ip: IpConf) -> requests.Request:
    route = requests.add_route(ifindex, ip.address.address, ip.address.bits, scope=requests.SCOPE_HOST)
    return route._replace(forgive=(errno.EEXIST,))
