"""What a pod means to plugins: CNI_ARGS, capabilities, quantities."""

from __future__ import annotations

import pytest

from cricket.errors import InvalidArgument
from cricket.network import pod_args, quantity
from cricket.network.attachment import Attachment
from cricket.network.plugin import environment
from cricket.types.sandbox import Dns, PortMapping, Protocol, SandboxConfig, SandboxMetadata


def config(**changes: object) -> SandboxConfig:
    meta = SandboxMetadata(name="pod", uid="u", namespace="ns")
    return SandboxConfig(metadata=meta, **changes)  # type: ignore[arg-type]  # tests


def test_nothing_asked_nothing_given() -> None:
    assert pod_args.capabilities(config()) == {}


def test_all_capabilities() -> None:
    found = pod_args.capabilities(
        config(
            port_mappings=(
                PortMapping(Protocol.UDP, 53, 5353, "127.0.0.1"),
                PortMapping(Protocol.SCTP, 7, 8),
                PortMapping(Protocol.TCP, 80, 0),
            ),
            dns=Dns(servers=("10.0.0.10",), searches=("svc",)),
            cgroup_parent="/kubepods/pod1",
            annotations={
                "kubernetes.io/ingress-bandwidth": "1G",
                "network.cricket.dev/mac": "c2:11:22:33:44:55",
                "network.cricket.dev/aliases": "web, db,",
                "network.cricket.dev/ips": "10.0.0.9/24",
                "network.cricket.dev/infiniband-guid": "c2:11:22:33:44:55:66:77",
                "network.cricket.dev/device-id": "0000:04:00.5",
            },
        ),
        ("10.1.0.0/24", "fd00::/64"),
    )
    annotations = found.pop("io.kubernetes.cri.pod-annotations")
    assert isinstance(annotations, dict) and annotations["network.cricket.dev/ips"] == "10.0.0.9/24"
    assert found == {
        "portMappings": [
            {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
            {"hostPort": 8, "containerPort": 7, "protocol": "sctp"},
        ],
        "dns": {"servers": ["10.0.0.10"], "searches": ["svc"]},
        "bandwidth": {"ingressRate": 10**9, "ingressBurst": 10**8},
        "ipRanges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]],
        "cgroupPath": "/kubepods/pod1",
        "mac": "c2:11:22:33:44:55",
        "aliases": ["web", "db"],
        "ips": ["10.0.0.9/24"],
        "infinibandGUID": "c2:11:22:33:44:55:66:77",
        "deviceID": "0000:04:00.5",
    }


@pytest.mark.parametrize("mapping", [PortMapping(container_port=0, host_port=80), PortMapping(host_port=70000)])
def test_ports_out_of_range(mapping: PortMapping) -> None:
    with pytest.raises(InvalidArgument, match="out of range"):
        pod_args.capabilities(config(port_mappings=(mapping,)))


def test_cni_args_and_environment() -> None:
    args = pod_args.cni_args("box", config())
    env = environment("ADD", Attachment("box", "/ns", "eth0", args), ["/a", "/b"])
    assert env["CNI_ARGS"] == (
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;K8S_POD_INFRA_CONTAINER_ID=box;K8S_POD_UID=u"
    )
    assert (env["CNI_COMMAND"], env["CNI_CONTAINERID"], env["CNI_NETNS"], env["CNI_IFNAME"], env["CNI_PATH"]) == (
        *("ADD", "box", "/ns", "eth0", "/a:/b"),
    )
    assert "PATH" in env


def test_the_daemons_own_environment_stays_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "CNI_COMMAND", "CRICKET_DIE_AFTER"):
        monkeypatch.setenv(name, "x")
    env = environment("DEL", Attachment("box", ""), [])
    assert env["CNI_COMMAND"] == "DEL" and env["CNI_NETNS"] == ""
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS", "CRICKET_DIE_AFTER"} & env.keys()


@pytest.mark.parametrize("name", ["a;K8S_POD_UID=root", "a=b", "a\0b"])
def test_a_pod_name_cannot_forge_arguments(name: str) -> None:
    with pytest.raises(InvalidArgument, match="K8S_POD_NAME"):
        pod_args.cni_args("box", SandboxConfig(metadata=SandboxMetadata(name=name, uid="u", namespace="n")))


@pytest.mark.parametrize(
    ("id_", "ifname"),
    [
        ("", "eth0"),
        ("../x", "eth0"),
        ("a b", "eth0"),
        ("a", ""),
        ("a", "x" * 16),
        ("a", "a/b"),
        ("a", ".."),
        ("a", "\0"),
    ],
)
def test_attachments_with_bad_names(id_: str, ifname: str) -> None:
    with pytest.raises(InvalidArgument):
        Attachment(id_, "/ns", ifname).check()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0", 0),
        ("10M", 10_000_000),
        ("1Gi", 1 << 30),
        ("1e6", 1_000_000),
        ("12E2", 1200),
        ("5E", 5 * 10**18),
        ("1500m", 2),
        ("0.5k", 500),
        (".5Ki", 512),
        ("1.", 1),
        ("+3k", 3000),
        ("1n", 1),
        ("100e-2", 1),
    ],
)
def test_quantities(text: str, value: int) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["", ".", "k", "1 k", "-1", "1kB", "1K", "0x10", "1e", "1e999", "٣", "1M\n", "9" * 99])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(InvalidArgument, match="no quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "burst"), [("1k", 524288), ("100M", 10_000_000), ("1P", (1 << 32) - 1), ("10M", 1_000_000)]
)
def test_bandwidth_bursts(text: str, burst: int) -> None:
    found = pod_args.bandwidth({"kubernetes.io/egress-bandwidth": text})
    assert found == {"egressRate": quantity.parse(text), "egressBurst": burst}


@pytest.mark.parametrize("text", ["999", "2P", "fast"])
def test_unreasonable_bandwidth(text: str) -> None:
    with pytest.raises(InvalidArgument, match="egress-bandwidth"):
        pod_args.bandwidth({"kubernetes.io/egress-bandwidth": text})
