"""A pod's manifest from what a runtime tells, whoever made the pod."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.generating.containers import container
from cricket.cli.generating.facts import ContainerFacts, PodFacts
from cricket.cli.generating.objects import Objects
from cricket.cli.generating.volumes import Volumes
from cricket.cli.generating.yaml_text import Comments
from cricket.errors import FailedPrecondition

OURS = ("io.kubernetes.", "kubernetes.io/config.", "cricket.dev/", "io.cri-containerd", "io.kubernetes.cri")
_GRACE = "io.kubernetes.pod.terminationGracePeriod"
_PORTS = "io.kubernetes.container.ports"


def from_runtime(facts: PodFacts, objects: Objects, comments: Comments) -> dict[str, Any]:
    """The manifest; what could not be known is said in the comments. Raises FailedPrecondition: no containers."""
    status, config = facts.status, facts.config
    spec: dict[str, Any] = {}
    comments.say(
        ("spec",), "Made of what the runtime knows: it knows nothing of probes, postStart hooks, restart policy."
    )
    volumes = Volumes(comments, objects, status.metadata)
    inits, rest = _parted(facts.containers)
    if not rest:
        meta = facts.status.metadata
        raise FailedPrecondition(
            "the pod has no containers, and a manifest needs one",
            where=f"{meta.namespace}/{meta.name}",
            todo="wait until they are made; `cricket ps -a` shows them",
        )
    for field, part in (("initContainers", inits), ("containers", rest)):
        if part:
            spec[field] = [container(c, volumes, comments, ("spec", field, at)) for at, c in enumerate(part)]
    if inits:
        comments.say(("spec", "initContainers"), "They had ended before the others began: taken for init containers.")
    if not rest:
        comments.say(("spec",), "The pod has no container; a manifest needs one.")
    if volumes.made:
        spec["volumes"] = volumes.made
    if not any(c.status.state == pb.CONTAINER_RUNNING for c in rest):
        comments.say(("spec", "restartPolicy"), "None of the containers runs.")
        spec["restartPolicy"] = "Never"
    _namespaces(spec, status.linux.namespaces.options)
    _network(spec, facts, comments)
    _security(spec, facts)
    _rest(spec, facts, comments)
    metadata: dict[str, Any] = {"name": status.metadata.name}
    if status.metadata.namespace not in ("", "default"):
        metadata["namespace"] = status.metadata.namespace
    for field in ("labels", "annotations"):
        kept = {k: v for k, v in sorted(getattr(status, field).items()) if not k.startswith(OURS)}
        if kept:
            metadata[field] = kept
    _ports(spec, config, rest, comments)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _parted(containers: tuple[ContainerFacts, ...]) -> tuple[list[ContainerFacts], list[ContainerFacts]]:
    """Init containers, as far as one can tell, and the others."""
    running = [c.status.started_at for c in containers if c.status.state == pb.CONTAINER_RUNNING]
    inits = [
        c
        for c in containers
        if running and c.status.state == pb.CONTAINER_EXITED and c.status.exit_code == 0
        and 0 < c.status.finished_at <= min(running)
    ]  # fmt: skip
    return inits, [c for c in containers if c not in inits]


def _namespaces(spec: dict[str, Any], options: Any) -> None:
    for field, mode in (("hostNetwork", options.network), ("hostPID", options.pid), ("hostIPC", options.ipc)):
        if mode == pb.NODE:
            spec[field] = True
    if options.pid == pb.POD:
        spec["shareProcessNamespace"] = True
    if options.HasField("userns_options") and options.userns_options.mode == pb.POD:
        spec["hostUsers"] = False


def _network(spec: dict[str, Any], facts: PodFacts, comments: Comments) -> None:
    config = facts.config
    if config is None:
        comments.say(("spec",), "The runtime does not tell DNS, host name, sysctls and ports of the pod.")
        return
    if config.hostname and config.hostname != facts.status.metadata.name and not spec.get("hostNetwork"):
        spec["hostname"] = config.hostname
    dns = config.dns_config
    if not config.HasField("dns_config"):
        spec["dnsPolicy"] = "Default"
        return
    found: dict[str, Any] = {}
    for field, values in (("nameservers", dns.servers), ("searches", dns.searches)):
        if values:
            found[field] = list(values)
    if dns.options:
        parts = [option.partition(":") for option in dns.options]
        found["options"] = [{"name": name, **({"value": value} if colon else {})} for name, colon, value in parts]
    if found.get("nameservers"):
        comments.say(("spec", "dnsPolicy"), "As it was resolved on this node.")
        spec["dnsPolicy"], spec["dnsConfig"] = "None", found
    else:
        spec["dnsPolicy"] = "Default"


def _security(spec: dict[str, Any], facts: PodFacts) -> None:
    config, context = facts.config, dict[str, Any]()
    if config is not None and config.linux.sysctls:
        context["sysctls"] = [{"name": k, "value": v} for k, v in sorted(config.linux.sysctls.items())]
    groups = {tuple(c.config.linux.security_context.supplemental_groups) for c in facts.containers if c.config}
    if len(groups) == 1 and (only := groups.pop()):
        context["supplementalGroups"] = list(only)
    if any(c.config and c.config.linux.security_context.supplemental_groups_policy for c in facts.containers):
        context["supplementalGroupsPolicy"] = "Strict"
    if context:
        spec["securityContext"] = context


def _rest(spec: dict[str, Any], facts: PodFacts, comments: Comments) -> None:
    annotations = {k: v for c in facts.containers for k, v in c.status.annotations.items()}
    if annotations.get(_GRACE, "30").isdecimal() and annotations.get(_GRACE, "30") != "30":
        spec["terminationGracePeriodSeconds"] = int(annotations[_GRACE])
    if facts.status.runtime_handler:
        spec["runtimeClassName"] = facts.status.runtime_handler
        comments.say(
            ("spec", "runtimeClassName"), "The runtime's handler; a cluster's RuntimeClass may have another name."
        )
    if any("stopSignal" in c.get("lifecycle", {}) for f in ("initContainers", "containers") for c in spec.get(f, ())):
        spec["os"] = {"name": "linux"}
    config = facts.config
    if config is not None and (config.linux.overhead.cpu_quota or config.linux.overhead.memory_limit_in_bytes):
        comments.say(("spec",), "The pod has an overhead, which its RuntimeClass gives.")


def _ports(spec: dict[str, Any], config: Any, containers: list[ContainerFacts], comments: Comments) -> None:
    """Each container's own where a kubelet has noted them; else all at the first one."""
    told = False
    for at, facts in enumerate(containers):
        with contextlib.suppress(ValueError):
            if _PORTS in facts.status.annotations:
                spec["containers"][at]["ports"] = json.loads(facts.status.annotations[_PORTS])
                told = True
    if told or config is None or not config.port_mappings or not containers:
        return
    ports = []
    for mapping in config.port_mappings:
        port: dict[str, Any] = {"containerPort": mapping.container_port}
        if mapping.host_port:
            port["hostPort"] = mapping.host_port
        if mapping.host_ip:
            port["hostIP"] = mapping.host_ip
        if mapping.protocol:
            port["protocol"] = pb.Protocol.Name(mapping.protocol)
        ports.append(port)
    spec["containers"][0]["ports"] = ports
    if len(containers) > 1:
        comments.say(("spec", "containers", 0, "ports"), "The pod's; which container has them is not known.")
