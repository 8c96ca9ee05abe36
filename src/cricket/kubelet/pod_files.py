"""Files that the agent makes for containers: /etc/hosts, the termination message, directories of logs."""

from __future__ import annotations

import os

from cricket.kubelet.hostname import hostname_and_domain
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.volumes import directories, layout

_HEADER = "# Kubernetes-managed hosts file"
_FIXED = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def log_directory(pod: Pod, node: Node) -> str:
    """LOG_ROOT/NAMESPACE_NAME_UID."""
    return f"{node.log_root}/{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"


def log_path(container: Container, attempt: int) -> str:
    """CONTAINER/ATTEMPT.log, below the pod's log directory."""
    return f"{container.name}/{attempt}.log"


def make_log_directory(pod: Pod, container: Container | None, node: Node) -> None:
    """The pod's, and the container's in it. Idempotent. Blocks. Raises OSError."""
    path = log_directory(pod, node)
    os.makedirs(path if container is None else f"{path}/{container.name}", 0o755, exist_ok=True)


def hosts(pod: Pod, node: Node, pod_ips: tuple[str, ...], node_hosts: str = "") -> str:
    """The contents of /etc/hosts; `node_hosts` are those of the node, for pods on its network."""
    if pod.spec.host_network:
        text = f"{_HEADER} (host network).\n{node_hosts}"
    else:
        name, domain = hostname_and_domain(pod, node)
        names = f"{name}.{domain}\t{name}" if domain else name
        text = f"{_HEADER}.\n{_FIXED}" + "".join(f"{ip}\t{names}\n" for ip in pod_ips)
    if pod.spec.host_aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(
            alias.ip + "".join(f"\t{name}" for name in alias.hostnames) + "\n" for alias in pod.spec.host_aliases
        )
    return text


def write_hosts(pod: Pod, node: Node, pod_ips: tuple[str, ...]) -> str:
    """Write the pod's hosts file, in place, as containers have it mounted; returns its path. Blocks. Raises OSError."""
    node_hosts = ""
    if pod.spec.host_network:
        with open(node.hosts_file, encoding="utf-8", errors="surrogateescape") as file:
            node_hosts = file.read()
    path = f"{layout.pod_dir(node.root, pod.metadata.uid)}/etc-hosts"
    directories.make_private(os.path.dirname(path))
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(hosts(pod, node, pod_ips, node_hosts))
    return path


def make_termination_log(pod: Pod, container: Container, node: Node, attempt: int) -> str:
    """An empty file that everybody may write, one for each attempt; returns its path. Blocks. Raises OSError."""
    directory = layout.container_dir(node.root, pod.metadata.uid, container.name)
    directories.make_private(directory)
    path = f"{directory}/termination-log.{attempt}"
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o666)
    return path
