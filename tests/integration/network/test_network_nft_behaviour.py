"""Packets, concurrency, repair and cost of the rules that we write, on a host of the test's own (a namespace)."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cricket.errors import Internal
from cricket.kernel import netlink_tc as tc
from cricket.kernel import netlink_wire as wire
from cricket.kernel import nftables, nftables_rule
from cricket.kernel.namespaces import in_netns, pin_namespaces, unpin
from cricket.kernel.netlink import Netlink, Request
from cricket.kernel.nftables import IPV4, Edit, Nftables, transact
from cricket.network.attachment import Attachment
from cricket.network.builtin import masquerade, portmap, portmap_rules
from cricket.network.builtin.bandwidth_rates import bucket
from cricket.network.builtin.base import Call, Refused
from cricket.network.builtin.firewall import PLUGIN as FIREWALL

pytestmark = pytest.mark.root
T = TypeVar("T")
POD = "10.77.0.2"


class Host:
    """A host with a bridge, a pod at 10.77.0.2 and fd00:77::2, and a neighbour outside at 192.0.2.2."""

    def __init__(self, tmp: Path) -> None:
        self.paths = {name: str(tmp / name) for name in ("host", "pod", "outside")}
        for path in self.paths.values():
            pin_namespaces({"net": path})
        self.pod, self.outside = self.paths["pod"], self.paths["outside"]
        # Descriptors, as `ip` knows no paths.
        self.sh(
            "ip link set lo up; ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0;"
            "ip -6 addr add fd00:77::1/64 dev br0 nodad; ip link set br0 up; sysctl -qw net.ipv4.ip_forward=1;"
            "sysctl -qw net.ipv6.conf.all.forwarding=1;"
            "ip link add veth0 type veth peer name eth0; ip link set veth0 master br0 up;"
            "bridge link set dev veth0 hairpin on;"
            "ip link add out type veth peer name far; ip addr add 192.0.2.1/24 dev out; ip link set out up"
        )
        self._move("eth0", self.pod)
        self._move("far", self.outside)
        self.sh(
            "ip link set lo up; ip link set eth0 up; ip addr add 10.77.0.2/24 dev eth0;"
            "ip -6 addr add fd00:77::2/64 dev eth0 nodad; ip route add default via 10.77.0.1;"
            "ip -6 route add default via fd00:77::1",
            self.pod,
        )
        self.sh("ip link set far up; ip addr add 192.0.2.2/24 dev far", self.outside)

    def _move(self, link: str, netns: str) -> None:
        def work() -> None:
            with open(netns) as f, Netlink() as netlink:
                body = wire.LINK.pack(0, 0, 0, 0, 0) + wire.attribute_text(wire.IFLA_IFNAME, link)
                body += wire.attribute_u32(wire.IFLA_NET_NS_FD, f.fileno())
                netlink.batch([Request(wire.RTM_NEWLINK, wire.F_ACK, body, "move")])

        self.do(work)

    def do(self, work: Callable[[], T], netns: str = "") -> T:
        return in_netns(netns or self.paths["host"], work)

    def sh(self, command: str, netns: str = "") -> str:
        done = self.do(lambda: subprocess.run(["sh", "-ec", command], capture_output=True, text=True), netns)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def save(self) -> list[str]:
        text = self.sh("iptables-save; ip6tables-save")
        return [re.sub(r"\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#")]

    def ours(self) -> list[str]:
        return [line for line in self.save() if "CNI-" in line]

    def setup(self, container_id: str, *addresses: str) -> None:
        self.do(lambda: masquerade.setup(addresses, network="net", ifname="eth0", container_id=container_id))

    def teardown(self, container_id: str) -> None:
        self.do(lambda: masquerade.teardown([], network="net", ifname="eth0", container_id=container_id))


def call(container_id: str, *ports: dict[str, Any], **more: Any) -> Call:
    result = {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/ns"}],
        "ips": [{"address": f"{POD}/24", "interface": 1}, {"address": "fd00:77::2/64", "interface": 1}],
    }
    conf = {"type": "portmap", "name": "net", "cniVersion": "1.0.0", "prevResult": result, **more}
    if ports:
        conf["runtimeConfig"] = {"portMappings": list(ports)}
    return Call(conf, Attachment(container_id, "/ns"))


def port(host: int, pod: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    return {"hostPort": host, "containerPort": pod, "protocol": protocol, **more}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    value = Host(tmp_path)
    yield value
    unpin(value.paths.values())


@contextlib.contextmanager
def serving(host: Host, netns: str, family: int, port_: int, kind: int = socket.SOCK_STREAM) -> Iterator[None]:
    """Whoever comes is told from where."""

    def open_() -> socket.socket:
        server = socket.socket(family, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", port_))
        if kind == socket.SOCK_STREAM:
            server.listen()
        return server

    server = host.do(open_, netns)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                if kind == socket.SOCK_DGRAM:
                    data, peer = server.recvfrom(100)
                    if not data:
                        return
                    server.sendto(str(peer[0]).encode(), peer)
                else:
                    client, peer = server.accept()
                    client.sendall(str(peer[0]).encode())
                    client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    with contextlib.suppress(OSError):  # of UDP: not connected, but whoever waits wakes up
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    server.close()


def ask(host: Host, netns: str, address: str, port_: int, kind: int = socket.SOCK_STREAM) -> str:
    def work() -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, kind) as client:
            client.settimeout(5)
            client.connect((address, port_))
            if kind == socket.SOCK_DGRAM:
                client.send(b"who")
            return client.recv(100).decode()

    return host.do(work, netns)


def test_what_leaves_has_the_nodes_address(host: Host) -> None:
    with serving(host, host.outside, socket.AF_INET, 80):
        host.setup("a" * 64, f"{POD}/24", "fd00:77::2/64")
        assert ask(host, host.pod, "192.0.2.2", 80) == "192.0.2.1"
        host.sh("ip route add 10.77.0.0/24 via 192.0.2.1", host.outside)
        host.teardown("a" * 64)
        assert ask(host, host.pod, "192.0.2.2", 80) == POD
    with serving(host, "", socket.AF_INET, 81):
        host.setup("a" * 64, f"{POD}/24")
        assert ask(host, host.pod, "10.77.0.1", 81) == POD, "within the subnet nothing is changed"
    assert [r for r in host.save() if "-A CNI-" in r] != []


def test_host_ports(host: Host) -> None:
    asked = call("a" * 64, port(8080, 80), port(8053, 53, "udp"), port(8081, 80, hostIP="192.0.2.1"))
    assert host.do(lambda: portmap.PLUGIN.add(asked)) == asked.previous
    host.sh("ip -6 addr add fd00:99::1/64 dev out nodad")
    with serving(host, host.pod, socket.AF_INET, 80):
        assert ask(host, host.outside, "192.0.2.1", 8080) == "192.0.2.2"
        assert ask(host, "", "192.0.2.1", 8080) == "192.0.2.1"
        assert ask(host, "", "127.0.0.1", 8080) == "10.77.0.1"
        assert ask(host, host.pod, "10.77.0.1", 8080) == "10.77.0.1", "the pod reaches itself by the host's port"
        assert ask(host, host.outside, "192.0.2.1", 8081) == "192.0.2.2"
        with pytest.raises(OSError):
            ask(host, "", "127.0.0.1", 8081)
    with serving(host, host.pod, socket.AF_INET6, 80):
        assert ask(host, "", "fd00:99::1", 8080)
    with serving(host, host.pod, socket.AF_INET, 53, socket.SOCK_DGRAM):
        assert ask(host, host.outside, "192.0.2.1", 8053, socket.SOCK_DGRAM) == "192.0.2.2"
    host.do(lambda: portmap.PLUGIN.check(asked))
    host.do(lambda: portmap.PLUGIN.delete(asked))
    with pytest.raises(OSError):
        ask(host, host.outside, "192.0.2.1", 8080)
    with pytest.raises(Refused):
        host.do(lambda: portmap.PLUGIN.check(asked))


def test_a_client_of_udp_that_was_there_before_finds_the_pod(host: Host) -> None:
    """Its flow is tracked as one to the host; the rules alone would not change that."""
    with (
        serving(host, "", socket.AF_INET, 8053, socket.SOCK_DGRAM),
        serving(host, host.pod, socket.AF_INET, 53, socket.SOCK_DGRAM),
    ):
        host.do(lambda: portmap.PLUGIN.add(call("b" * 64, port(8055, 53, "udp"))))  # from now on flows are tracked
        client = host.do(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), host.outside)
        with client:
            client.settimeout(5)
            client.connect(("192.0.2.1", 8053))
            client.send(b"who")
            assert client.recv(100) == b"192.0.2.2"
            host.do(lambda: portmap.PLUGIN.add(call("c" * 64, port(8054, 53, "udp"))))
            assert " dport=8053 " in host.sh("cat /proc/thread-self/net/nf_conntrack"), "other ports' flows stay"
            host.do(lambda: portmap.PLUGIN.add(call("a" * 64, port(8053, 53, "udp"))))
            assert " dport=8053 " not in host.sh("cat /proc/thread-self/net/nf_conntrack")
            client.send(b"who")
            assert client.recv(100) == b"192.0.2.2"
            assert f"src={POD}" in host.sh("grep dport=8053 /proc/thread-self/net/nf_conntrack")


def test_again_changes_nothing_and_repairs_what_is_missing(host: Host) -> None:
    asked = call("a" * 64, port(8080, 80), port(8080, 80, "udp"), port(8080, 80, "sctp"))

    def everything() -> None:
        masquerade.setup([f"{POD}/24", "fd00:77::2/64"], network="net", ifname="eth0", container_id="a" * 64)
        portmap.PLUGIN.add(asked)
        FIREWALL.add(asked)

    host.do(everything)
    before = host.save()
    host.do(everything)
    assert host.save() == before
    for command in (
        "iptables -t nat -F PREROUTING",
        "ip6tables -t nat -F CNI-HOSTPORT-SETMARK",
        "iptables -t nat -F POSTROUTING",
        "iptables -t nat -F CNI-HOSTPORT-DNAT",
        f"iptables -t nat -F {portmap_rules.pod_chain('net', 'a' * 64)}",
        f"iptables -t nat -F {masquerade.chain_name('net', 'a' * 64)}",
        "iptables -F CNI-FORWARD; ip6tables -F FORWARD",
        "nft flush ruleset",
    ):
        host.sh(command)
        assert host.save() != before
        host.do(everything)
        assert sorted(host.save()) == sorted(before), command
    host.do(lambda: portmap.PLUGIN.check(asked))
    host.do(lambda: FIREWALL.check(asked))


def test_delete_without_a_cached_result(host: Host) -> None:
    """All that is known is the container: its chain is found by name; what others have stays."""
    for name in ("a", "b"):
        host.do(lambda name=name: portmap.PLUGIN.add(call(name * 64, port(8000 + ord(name), 80))))  # type: ignore[misc]
    shared = [r for r in host.ours() if portmap_rules.pod_chain("net", "a" * 64) not in r]
    lost = Call({"type": "portmap", "name": "net", "cniVersion": "1.0.0"}, Attachment("a" * 64, ""))
    for _ in range(2):
        host.do(lambda: portmap.PLUGIN.delete(lost))
    assert host.ours() == shared and shared


def test_rules_that_point_to_a_chain_go_whoever_made_them(host: Host) -> None:
    host.setup("a" * 64, f"{POD}/24")
    chain = masquerade.chain_name("net", "a" * 64)
    other = chain[:-1]
    host.sh(f"iptables -t nat -A POSTROUTING -s {POD}/24 -j {chain} -m comment --comment old")
    host.sh(f"iptables -t nat -N {other}; iptables -t nat -A POSTROUTING -j {other}")
    host.sh(f"iptables -t nat -A POSTROUTING -m comment --comment {chain}")
    host.teardown("a" * 64)
    left = [r for r in host.ours() if other in r]
    assert left == [f":{other} - ", f"-A POSTROUTING -j {other}", f"-A POSTROUTING -m comment --comment {chain}"]


def test_beside_iptables_and_with_each_other(host: Host) -> None:
    """Threads of ours and processes of iptables change the same chains; nothing is lost, nothing comes twice."""
    done = threading.Event()

    def others() -> int:
        turns = 0
        while not done.is_set():
            host.sh("iptables -t nat -A POSTROUTING -j RETURN; iptables -t nat -D POSTROUTING -j RETURN")
            turns += 1
        return turns

    def pods(number: int) -> None:
        for i in range(10):
            container_id = f"{number}-{i}"
            asked = call(container_id, port(1000 + number * 10 + i, 80))

            def one(container_id: str = container_id, i: int = i, asked: Call = asked) -> None:
                masquerade.setup([f"10.77.{number}.{i}/24"], network="net", ifname="eth0", container_id=container_id)
                portmap.PLUGIN.add(asked)
                if i % 2:
                    masquerade.teardown([], network="net", ifname="eth0", container_id=container_id)
                    portmap.PLUGIN.delete(asked)

            host.do(one)

    with ThreadPoolExecutor() as pool:
        noise = pool.submit(others)
        work = [pool.submit(pods, n) for n in range(4)]
        for w in work:
            w.result(120)
        done.set()
        assert noise.result(60) > 0
    four = host.sh("iptables-save -t nat").splitlines()
    assert len([r for r in four if re.match(r"-A POSTROUTING -s 10\.77\.\d\.\d/32", r)]) == 20
    assert len([r for r in four if r.startswith("-A CNI-HOSTPORT-DNAT")]) == 20
    assert len([r for r in four if r.endswith("-j CNI-HOSTPORT-DNAT")]) == 2
    assert len([r for r in four if r.endswith("-j CNI-HOSTPORT-MASQ")]) == 1
    assert len([r for r in four if re.match(r":CNI-(DN-)?[0-9a-f]", r)]) == 40


def test_a_thousand_other_pods_are_not_looked_at(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ADD reads no chain in which other pods have rules, so its cost does not grow with them."""

    def crowd(edit: Edit) -> None:
        for i in range(1000):
            chain = f"CNI-{i:024}"
            edit.ensure_branch("nat", "POSTROUTING", chain, inside=[], entries=[rule(chain)])
            edit.ensure_branch("nat", portmap_rules.TOP, f"CNI-DN-{i}", inside=[], entries=[rule(f"CNI-DN-{i}")])

    def rule(chain: str) -> nftables_rule.Rule:
        return nftables_rule.rule(nftables_rule.jump(chain), nftables_rule.comment(chain))

    host.do(lambda: portmap.PLUGIN.add(call("first", port(1, 1))))
    host.do(lambda: transact(IPV4, crowd))
    read: list[tuple[str, int]] = []
    rules = Nftables.rules

    def spy(self: Nftables, family: int, table: str, chain: str) -> list[nftables.Found]:
        found = rules(self, family, table, chain)
        read.append((chain, len(found)))
        return found

    monkeypatch.setattr(Nftables, "rules", spy)
    host.setup("a" * 64, f"{POD}/24")
    assert read == []
    host.do(lambda: portmap.PLUGIN.add(call("a" * 64, port(2, 2))))
    assert {c for c, _ in read} == {"PREROUTING", "OUTPUT", portmap_rules.SET_MARK, portmap_rules.MASQUERADE}
    assert sum(n for _, n in read) == 8, "four rules of each family"
    read.clear()
    host.teardown("a" * 64)
    assert read == [("POSTROUTING", 1002)]


def test_a_transaction_is_all_or_nothing(host: Host) -> None:
    before = host.ours()
    with pytest.raises(Internal, match="add a rule to the chain CNI-DN-"):
        host.do(lambda: portmap.PLUGIN.add(call("a" * 64, port(1, 1), externalSetMarkChain="MISSING")))
    assert host.ours() == before


def test_many_ports(host: Host) -> None:
    asked = call("a" * 64, *(port(10000 + i, 1 + i, p) for i in range(150) for p in ("tcp", "udp", "sctp")))
    host.do(lambda: portmap.PLUGIN.add(asked))
    assert len([r for r in host.ours() if r.startswith("-A CNI-DN-") and "-j DNAT" in r]) == 900
    host.do(lambda: portmap.PLUGIN.check(asked))
    host.do(lambda: portmap.PLUGIN.delete(asked))
    assert not [r for r in host.ours() if "CNI-DN-" in r]


def test_route_localnet(host: Host) -> None:
    host.do(lambda: portmap.PLUGIN.add(call("a" * 64, port(1, 1), snat=False)))
    assert host.sh("cat /proc/sys/net/ipv4/conf/br0/route_localnet") == "0\n"
    host.do(lambda: portmap.PLUGIN.add(call("b" * 64, port(1, 1))))
    assert host.sh("cat /proc/sys/net/ipv4/conf/br0/route_localnet") == "1\n"


def test_firewall_deletes_by_the_result_only(host: Host) -> None:
    asked = call("a" * 64)
    host.do(lambda: FIREWALL.add(asked))
    host.sh("iptables -A CNI-FORWARD -s 10.77.0.3 -j ACCEPT")
    host.do(lambda: FIREWALL.delete(Call({"type": "firewall", "name": "net"}, asked.attachment)))
    assert len([r for r in host.ours() if POD in r]) == 2
    host.do(lambda: FIREWALL.delete(asked))
    assert not [r for r in host.ours() if f"{POD}/" in r or "fd00:77::2" in r]
    assert [r for r in host.ours() if "10.77.0.3" in r]
    with pytest.raises(Refused, match="CNI-FORWARD"):
        host.do(lambda: FIREWALL.check(asked))


def test_same_bridge_knows_the_rules_of_newer_plugins(host: Host) -> None:
    asked = call("a" * 64, ingressPolicy="same-bridge")
    host.do(lambda: FIREWALL.add(asked))
    renamed = [
        r.replace("(ingressPolicy: same-bridge)", "(ingressPolicy: same-bridge|isolated)") if "! -o br0" not in r else r
        for r in host.sh("iptables-save").splitlines()
    ]
    host.do(lambda: subprocess.run(["iptables-restore"], input="\n".join(renamed) + "\n", text=True, check=True))
    before = host.save()
    host.do(lambda: FIREWALL.add(asked))
    assert host.save() == before


def test_the_queues_limit(host: Host) -> None:
    """A bucket of the kernel's own account is the one that was asked for."""

    def work() -> list[tc.Bucket | None]:
        found = []
        with Netlink() as netlink:
            for i, (rate, burst) in enumerate(((10**6, 10**5), (10**10, 10**9), (10**11, 10**9), (1000, 8000))):
                netlink.batch([tc.new_ifb(f"ifb{i}", mtu=1500)])
                ifindex = netlink.link(f"ifb{i}").ifindex
                expected = bucket(rate, burst, tc.ticks_per_microsecond())
                netlink.batch([tc.new_bucket(ifindex, expected)])
                [[answer]] = netlink.batch([tc.get_root(ifindex)])
                found += [expected, tc.bucket(answer)]
        return found

    found = host.do(work)
    assert found[::2] == found[1::2]
