"""resolv.conf of a pod, by dnsPolicy and dnsConfig (kubelet pkg/kubelet/network/dns)."""

from __future__ import annotations

from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.failure import FailedCreatePodSandBox
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node

_SERVERS, _SEARCHES, _CHARACTERS = 3, 32, 2048


def dns_config(pod: Pod, node: Node) -> Any:
    """DNSConfig. ClusterFirst without a cluster's DNS is Default, as the kubelet has it. Raises FailedCreatePodSandBox
    when the node's resolv.conf cannot be read."""
    servers, searches, options = _base(pod, node)
    if (config := pod.spec.dns_config) is not None:
        servers = [*servers, *config.nameservers]
        searches = [*searches, *config.searches]
        options = _merged(options, [(option.name, option.value or "") for option in config.options])
    searches = _unique(searches)[:_SEARCHES]
    while len(" ".join(searches)) > _CHARACTERS:
        searches.pop()
    return pb.DNSConfig(servers=_unique(servers)[:_SERVERS], searches=searches, options=options)


def missing_cluster_dns(pod: Pod, node: Node) -> bool:
    """Whether the pod wants a cluster's DNS and gets the node's: worth a warning (MissingClusterDNS)."""
    return _policy(pod) == "cluster" and not node.cluster_dns


def _policy(pod: Pod) -> str:
    policy = pod.spec.dns_policy
    if policy == "None":
        return "none"
    if policy == "Default" or (policy == "ClusterFirst" and pod.spec.host_network):
        return "node"
    return "cluster"


def _base(pod: Pod, node: Node) -> tuple[list[str], list[str], list[str]]:
    policy = _policy(pod)
    if policy == "none":
        return [], [], []
    servers, searches, options = read_resolv_conf(node.resolv_conf)
    if policy == "node" or not node.cluster_dns:
        return servers, searches, options
    if node.cluster_domain:
        domain = node.cluster_domain
        searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain, *searches]
    return list(node.cluster_dns), searches, ["ndots:5"]


def read_resolv_conf(path: str) -> tuple[list[str], list[str], list[str]]:
    """Servers, searches and options of a resolv.conf; of several search lines the last one counts."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError as error:
        raise FailedCreatePodSandBox("cannot read the node's resolv.conf", where=path) from error
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for words in lines:
        match words:
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search", *names]:
                searches = [name.removesuffix(".") for name in names if name != "."]
            case ["options", *more]:
                options = _merged(options, [_split(option) for option in more])
    return servers, searches, options


def _split(option: str) -> tuple[str, str]:
    name, _, value = option.partition(":")
    return name, value


def _merged(options: list[str], more: list[tuple[str, str]]) -> list[str]:
    """The later one of a name wins, in its first place."""
    merged = dict(map(_split, options))
    merged.update(more)
    return [f"{name}:{value}" if value else name for name, value in merged.items()]


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))
