"""resolv.conf, hostnames and /etc/hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubelet_pods import NODE, pod
from msgspec.structs import replace

from cricket.kubelet.dns import dns_config, missing_cluster_dns
from cricket.kubelet.failure import FailedCreatePodSandBox
from cricket.kubelet.hostname import hostname_and_domain, sandbox_hostname
from cricket.kubelet.node import Node
from cricket.kubelet.pod_files import hosts, make_termination_log, write_hosts


@pytest.fixture
def node(tmp_path: Path) -> Node:
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "# nameserver 1.1.1.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch old\nsearch corp.example. lan .\n"
        "options ndots:1 rotate\noptions ndots:2\n"
    )
    return replace(NODE, resolv_conf=str(conf), root=str(tmp_path / "root"), hosts_file=str(tmp_path / "hosts"))


def config(spec: str, node: Node) -> tuple[list[str], list[str], list[str]]:
    made = dns_config(pod(spec=spec), node)
    return list(made.servers), list(made.searches), list(made.options)


def test_default(node: Node) -> None:
    expected = (["192.0.2.1", "192.0.2.2"], ["corp.example", "lan"], ["ndots:2", "rotate"])
    assert config("dnsPolicy: Default", node) == expected
    # No cluster: as the kubelet falls back.
    assert config("", node) == expected
    assert missing_cluster_dns(pod(), node)


def test_cluster(node: Node) -> None:
    node = replace(node, cluster_dns=("10.96.0.10",), cluster_domain="cluster.local")
    searches = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example", "lan"]
    assert config("", node) == (["10.96.0.10"], searches, ["ndots:5"])
    assert config("hostNetwork: true", node)[0] == ["192.0.2.1", "192.0.2.2"]
    assert config("hostNetwork: true\ndnsPolicy: ClusterFirstWithHostNet", node)[0] == ["10.96.0.10"]
    assert not missing_cluster_dns(pod(), node)


def test_none_and_more(node: Node) -> None:
    more = """
        dnsConfig:
          nameservers: [192.0.2.53, 192.0.2.1]
          searches: [lan, b.example]
          options: [{name: ndots, value: "3"}, {name: edns0}]
    """
    nothing = config("dnsPolicy: None\n" + more.replace("\n        ", "\n"), node)
    assert nothing == (["192.0.2.53", "192.0.2.1"], ["lan", "b.example"], ["ndots:3", "edns0"])
    merged = config("dnsPolicy: Default\n" + more.replace("\n        ", "\n"), node)
    assert merged == (
        ["192.0.2.1", "192.0.2.2", "192.0.2.53"], ["corp.example", "lan", "b.example"], ["ndots:3", "rotate", "edns0"],
    )  # fmt: skip


def test_limits(node: Node) -> None:
    Path(node.resolv_conf).write_text("search " + " ".join(f"{i:03}.{'x' * 60}.example" for i in range(40)))
    searches = config("", node)[1]
    assert len(searches) <= 32
    assert len(" ".join(searches)) <= 2048


def test_unreadable(node: Node) -> None:
    with pytest.raises(FailedCreatePodSandBox):
        config("", replace(node, resolv_conf="/nowhere"))


def test_hostnames() -> None:
    node = replace(NODE, cluster_domain="cluster.local")
    assert hostname_and_domain(pod(), node) == ("web", "")
    made = pod(spec="hostname: h\nsubdomain: s")
    assert hostname_and_domain(made, node) == ("h", "s.default.svc.cluster.local")
    assert hostname_and_domain(made, NODE) == ("h", "s.default.svc")
    assert sandbox_hostname(made, node) == "h"
    assert sandbox_hostname(pod(spec="hostname: h\nsubdomain: s\nsetHostnameAsFQDN: true"), NODE) == "h.s.default.svc"
    assert sandbox_hostname(pod(spec="hostNetwork: true"), node) == ""
    assert sandbox_hostname(pod(spec="hostnameOverride: a.b"), node) == "a.b"


def test_long_names() -> None:
    made = pod(spec=f"subdomain: s\nhostname: {'h' * 60}\nsetHostnameAsFQDN: true")
    with pytest.raises(FailedCreatePodSandBox, match="is too long"):
        sandbox_hostname(made, NODE)


def test_hosts(node: Node) -> None:
    made = pod(spec="subdomain: s\nhostAliases: [{ip: 1.2.3.4, hostnames: [a.b, c]}]")
    text = hosts(made, node, ("10.0.0.5", "fd00::5"))
    assert "127.0.0.1\tlocalhost\n" in text
    assert "10.0.0.5\tweb.s.default.svc\tweb\nfd00::5\tweb.s.default.svc\tweb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\ta.b\tc\n")


def test_hosts_of_the_node(node: Node) -> None:
    Path(node.hosts_file).write_text("127.0.0.1 me\n")
    path = Path(write_hosts(pod(spec="hostNetwork: true"), node, ("192.0.2.1",)))
    assert path.read_text() == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n"
    inode = path.stat().st_ino
    write_hosts(pod(spec="hostNetwork: true"), node, ("192.0.2.1",))
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o644)


def test_termination_log(node: Node) -> None:
    made = pod()
    path = Path(make_termination_log(made, made.spec.containers[0], node, 2))
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o666)
    assert path.name == "termination-log.2"
