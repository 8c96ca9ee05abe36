"""Containers."""

from __future__ import annotations

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.validate import env, names, probes, resources, security, volumes

_MOST_RULES, _MOST_CODES = 20, 255


def containers(path: Path, spec: PodSpec) -> Findings:
    """All of a pod, by the rules of their kind."""
    if not spec.containers:
        yield Finding((*path, "containers"), "required value")
    seen: set[str] = set()
    for field, group in (("initContainers", spec.init_containers), ("containers", spec.containers)):
        for i, container in enumerate(group):
            here = (*path, field, i)
            yield from names.label((*here, "name"), container.name)
            if container.name in seen:
                yield Finding((*here, "name"), f'duplicate value "{container.name}"')
            seen.add(container.name)
            yield from _container(here, container, spec)
            yield from _restarts(here, container)
            if field == "initContainers":
                yield from _init(here, container)
    yield from _host_ports(path, spec)


def _container(path: Path, container: Container, spec: PodSpec) -> Findings:
    if not container.image:
        yield Finding((*path, "image"), "required value")
    elif container.image != container.image.strip():
        yield Finding((*path, "image"), "it should not begin or end with a space")
    yield from one_of((*path, "imagePullPolicy"), container.image_pull_policy, ("", "Always", "IfNotPresent", "Never"))
    here = (*path, "terminationMessagePolicy")
    yield from one_of(here, container.termination_message_policy, ("File", "FallbackToLogsOnError"))
    yield from names.absolute((*path, "terminationMessagePath"), container.termination_message_path)
    yield from _ports((*path, "ports"), container, spec)
    yield from env.variables(path, container)
    yield from resources.requirements((*path, "resources"), container.resources)
    yield from resources.resize_policy((*path, "resizePolicy"), container)
    yield from volumes.mounts((*path, "volumeMounts"), container, spec)
    yield from probes.probes(path, container)
    yield from probes.hooks((*path, "lifecycle"), container, spec)
    yield from security.container((*path, "securityContext"), container.security_context, spec)


def _init(path: Path, container: Container) -> Findings:
    if container.sidecar:
        if container.restart_policy_rules:
            yield Finding((*path, "restartPolicyRules"), "sidecars have none: they are always restarted")
        return
    for field, value in (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
        ("lifecycle", container.lifecycle),
    ):
        if value is not None:
            yield Finding((*path, field), "init containers have none, unless they are sidecars (restartPolicy: Always)")


def _restarts(path: Path, container: Container) -> Findings:
    yield from one_of((*path, "restartPolicy"), container.restart_policy, ("", "Always", "OnFailure", "Never"))
    rules = container.restart_policy_rules
    if rules and not container.restart_policy:
        yield Finding((*path, "restartPolicy"), "required value: there are restartPolicyRules")
    if len(rules) > _MOST_RULES:
        yield Finding((*path, "restartPolicyRules"), f"at most {_MOST_RULES}")
    for i, rule in enumerate(rules):
        here = (*path, "restartPolicyRules", i)
        if rule.action == "RestartAllContainers":
            yield Finding((*here, "action"), "not supported: only Restart")
        else:
            yield from one_of((*here, "action"), rule.action, ("Restart",))
        if rule.exit_codes is None:
            yield Finding((*here, "exitCodes"), "required value")
            continue
        yield from one_of((*here, "exitCodes", "operator"), rule.exit_codes.operator, ("In", "NotIn"))
        if len(rule.exit_codes.values) > _MOST_CODES:
            yield Finding((*here, "exitCodes", "values"), f"at most {_MOST_CODES}")


def _ports(path: Path, container: Container, spec: PodSpec) -> Findings:
    seen: set[str] = set()
    for i, port in enumerate(container.ports):
        here = (*path, i)
        if port.name:
            yield from names.port_name((*here, "name"), port.name)
            if port.name in seen:
                yield Finding((*here, "name"), f'duplicate value "{port.name}"')
            seen.add(port.name)
        yield from names.port((*here, "containerPort"), port.container_port)
        yield from one_of((*here, "protocol"), port.protocol, ("TCP", "UDP", "SCTP"))
        if port.host_port:
            yield from names.port((*here, "hostPort"), port.host_port)
            if spec.host_network and port.host_port != port.container_port:
                yield Finding((*here, "hostPort"), "with hostNetwork it has to be the containerPort")
        if port.host_ip:
            yield from names.address((*here, "hostIP"), port.host_ip)


def _host_ports(path: Path, spec: PodSpec) -> Findings:
    """Two containers cannot have the same port of the node; 0.0.0.0 is each address."""
    taken: dict[tuple[str, int], set[str]] = {}
    for i, container in enumerate(spec.containers):
        for k, port in enumerate(container.ports):
            if not port.host_port:
                continue
            address = port.host_ip if port.host_ip not in ("0.0.0.0", "::") else ""
            others = taken.setdefault((port.protocol, port.host_port), set())
            if others and (not address or "" in others or address in others):
                here = (*path, "containers", i, "ports", k, "hostPort")
                yield Finding(here, f"{port.host_port}/{port.protocol} is taken by another port of this pod")
            others.add(address)
