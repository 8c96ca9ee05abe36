"""The kubelet of this node: which runtime it asks, and settings that must agree with the runtime's."""

from __future__ import annotations

from typing import Any

from cricket.cli.doctor import cgroups
from cricket.cli.doctor.finding import Findings, Unseen, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.client.endpoint import socket_path
from cricket.client.errors import EndpointError

_CONFIG = "/var/lib/kubelet/config.yaml"
_FLAGS = ("/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet", "/etc/sysconfig/kubelet")
_ENDPOINT = "container-runtime-endpoint"


class Kubelet:
    """What is known of the kubelet: whether it runs, its flags, its configuration file and what that says."""

    def __init__(self, host: Host) -> None:
        running = [p for p in host.processes if p.name == "kubelet"]
        self.runs = bool(running)
        self.flags: dict[str, str] = {}
        for path in _FLAGS:
            self.flags |= _flags(host.read(path).replace('"', " ").replace("'", " ").replace("=--", " --").split())
        for process in running:
            self.flags |= _flags(process.argv[1:])
        self.path = self.flags.get("config", _CONFIG)
        self.config = _yaml(host.read(self.path))
        self.there = self.runs or bool(self.config) or bool(self.flags)

    @property
    def endpoint(self) -> str:
        """The runtime's socket as it is told: the file comes before the flag."""
        return str(self.config.get("containerRuntimeEndpoint") or self.flags.get(_ENDPOINT, ""))


def endpoint(host: Host) -> Findings:
    """It asks us, or somebody else."""
    kubelet = host.kubelet
    if not kubelet.there:
        yield ok("no kubelet is set up here")
        return
    told = kubelet.endpoint
    runs = "the kubelet" if kubelet.runs else "the kubelet, which does not run,"
    todo = f"containerRuntimeEndpoint: {host.endpoint}   (in {kubelet.path})"
    try:
        path = socket_path(told) if told else ""
    except EndpointError:
        yield error(f"{runs} has the endpoint {told!r}", "That is no socket.", todo)
        return
    if not path:
        yield info(f"{runs} is told no runtime", "It asks containerd then.", todo)
    elif path.replace("/var/run/", "/run/") == host.socket.replace("/var/run/", "/run/"):
        yield ok(f"{runs} asks {told}")
    else:
        why = "Pods of the cluster are made there; those that you make here, it does not know."
        yield info(f"{runs} asks {told}, not {host.endpoint}", why, "If that is not meant: " + todo)


def cgroup_driver(host: Host) -> Findings:
    """Old kubelets do not ask the runtime for it."""
    kubelet = host.kubelet
    told = str(kubelet.config.get("cgroupDriver") or kubelet.flags.get("cgroup-driver", ""))
    ours = {"auto": "systemd" if host.systemd else "cgroupfs"}.get(host.config.cgroup_driver, host.config.cgroup_driver)
    if not kubelet.there:
        return
    if told in ("", ours):
        yield ok(
            "kubelet and runtime agree on the cgroup driver" if told else "the kubelet asks the runtime for the driver"
        )
        return
    why = "Kubelets before 1.31 do not ask the runtime: RunPodSandbox fails with a message about cgroup_parent."
    yield warning(
        f"the kubelet has cgroupDriver {told}, Cricket has {ours}", why, f"cgroupDriver: {ours}   (in {kubelet.path})"
    )


def old_cgroups(host: Host) -> Findings:
    """Kubelets from 1.35 on want to be told that v1 is meant."""
    kubelet = host.kubelet
    if not kubelet.there:
        return
    if cgroups.mode(host) == "v2" or kubelet.config.get("failCgroupV1") is False:
        yield ok("the kubelet accepts this host's cgroups")
    else:
        why = "Kubelets from 1.35 on end at once on cgroup v1."
        yield warning(
            "the kubelet is not told that cgroup v1 is meant", why, f"failCgroupV1: false   (in {kubelet.path})"
        )


def swap(host: Host) -> Findings:
    """With swap it does not start unless it is told."""
    kubelet = host.kubelet
    swaps = len(host.read("/proc/swaps").splitlines()) > 1
    refuses = kubelet.config.get("failSwapOn", True) is not False and kubelet.flags.get("fail-swap-on") != "false"
    if not kubelet.there:
        return
    if swaps and refuses:
        why = "It ends with `running with swap on is not supported`."
        yield warning(
            "swap is on, and the kubelet refuses it", why, f"failSwapOn: false   (in {kubelet.path}), or:", "swapoff -a"
        )
    else:
        yield ok("the kubelet has no quarrel with swap")


def _flags(words: Any) -> dict[str, str]:
    """`--name=value` and `--name value`."""
    found: dict[str, str] = {}
    pending = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            found[name] = value
            pending = "" if equals else name
        elif pending:
            found[pending], pending = word, ""
    return found


def _yaml(text: str) -> dict[str, Any]:
    """The file's content; one that cannot be read is for the kubelet to complain about."""
    if not text.strip():
        return {}
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Unseen("the kubelet's configuration is no YAML", where=_CONFIG) from None
    return content if isinstance(content, dict) else {}
