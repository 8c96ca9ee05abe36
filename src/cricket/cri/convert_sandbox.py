"""Sandboxes: configuration in both directions, list item and status."""

from __future__ import annotations

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_resources import resources_from, resources_to
from cricket.cri.convert_security import namespaces_to, sandbox_security_from, sandbox_security_to
from cricket.cri.fields import maybe, number, present, required, text, texts, wire
from cricket.errors import InvalidArgument
from cricket.types.sandbox import (
    Dns,
    PortMapping,
    Protocol,
    Sandbox,
    SandboxConfig,
    SandboxMetadata,
    SandboxState,
)

MAX_PORT = 65535


def sandbox_config_from(message: pb.PodSandboxConfig, field: str = "config") -> SandboxConfig:
    """`PodSandboxConfig`, checked; `field` is where it stands in the request."""
    linux = message.linux
    dns = None
    if message.HasField("dns_config"):
        dns = Dns(
            tuple(message.dns_config.servers),
            tuple(message.dns_config.searches),
            texts(message.dns_config.options, f"{field}.dns_config.options"),
        )
    return SandboxConfig(
        metadata=_metadata_from(message, field),
        hostname=text(message.hostname, f"{field}.hostname"),
        log_directory=text(message.log_directory, f"{field}.log_directory"),
        dns=dns,
        port_mappings=tuple(_port_from(p, f"{field}.port_mappings") for p in message.port_mappings),
        labels=dict(message.labels),
        annotations=dict(message.annotations),
        cgroup_parent=text(linux.cgroup_parent, f"{field}.linux.cgroup_parent"),
        security=sandbox_security_from(linux.security_context, f"{field}.linux.security_context"),
        sysctls=dict(linux.sysctls),
        overhead=resources_from(linux.overhead, f"{field}.linux.overhead") if linux.HasField("overhead") else None,
        resources=resources_from(linux.resources, f"{field}.linux.resources") if linux.HasField("resources") else None,
    )


def sandbox_config_to(config: SandboxConfig) -> pb.PodSandboxConfig:
    """The reverse of `sandbox_config_from`."""
    return pb.PodSandboxConfig(
        metadata=sandbox_metadata_to(config.metadata),
        hostname=config.hostname,
        log_directory=config.log_directory,
        dns_config=maybe(_dns_to, config.dns),
        port_mappings=[
            pb.PortMapping(
                protocol=wire(p.protocol), container_port=p.container_port, host_port=p.host_port, host_ip=p.host_ip
            )
            for p in config.port_mappings
        ],
        labels=config.labels,
        annotations=config.annotations,
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent,
            security_context=sandbox_security_to(config.security),
            sysctls=config.sysctls,
            overhead=maybe(resources_to, config.overhead),
            resources=maybe(resources_to, config.resources),
        ),
    )


def _dns_to(dns: Dns) -> pb.DNSConfig:
    return pb.DNSConfig(servers=dns.servers, searches=dns.searches, options=dns.options)


def _metadata_from(message: pb.PodSandboxConfig, field: str) -> SandboxMetadata:
    metadata = present(message, "metadata", f"{field}.metadata")
    return SandboxMetadata(
        name=required(metadata.name, f"{field}.metadata.name"),
        uid=required(metadata.uid, f"{field}.metadata.uid"),
        namespace=required(metadata.namespace, f"{field}.metadata.namespace"),
        attempt=metadata.attempt,
    )


def _port_from(message: pb.PortMapping, field: str) -> PortMapping:
    for name in ("container_port", "host_port"):
        if not 0 <= getattr(message, name) <= MAX_PORT:
            raise InvalidArgument(f"{getattr(message, name)} is no port", where=f"{field}.{name}")
    return PortMapping(
        number(Protocol, message.protocol, f"{field}.protocol"),
        message.container_port,
        message.host_port,
        message.host_ip,
    )


def sandbox_metadata_to(metadata: SandboxMetadata) -> pb.PodSandboxMetadata:
    """`PodSandboxMetadata`."""
    return pb.PodSandboxMetadata(
        name=metadata.name, uid=metadata.uid, namespace=metadata.namespace, attempt=metadata.attempt
    )


def sandbox_state_to(state: SandboxState) -> pb.PodSandboxState:
    """CRI knows two states: ready, and everything else."""
    return pb.SANDBOX_READY if state is SandboxState.READY else pb.SANDBOX_NOTREADY


def sandbox_item(box: Sandbox) -> pb.PodSandbox:
    """The list item."""
    config = box.config
    return pb.PodSandbox(
        id=box.id,
        metadata=sandbox_metadata_to(config.metadata),
        state=sandbox_state_to(box.state),
        created_at=box.created_at,
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=box.handler,
    )


def sandbox_status(box: Sandbox) -> pb.PodSandboxStatus:
    """The status: with the namespace options asked for, and the addresses while there is a network."""
    config = box.config
    network = pb.PodSandboxNetworkStatus()
    if box.ips:
        network.ip = box.ips[0]
        network.additional_ips.extend(pb.PodIP(ip=ip) for ip in box.ips[1:])
    return pb.PodSandboxStatus(
        id=box.id,
        metadata=sandbox_metadata_to(config.metadata),
        state=sandbox_state_to(box.state),
        created_at=box.created_at,
        network=network,
        linux=pb.LinuxPodSandboxStatus(namespaces=pb.Namespace(options=namespaces_to(config.security.namespaces))),
        labels=config.labels,
        annotations=config.annotations,
        runtime_handler=box.handler,
    )
