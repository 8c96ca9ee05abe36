"""The defaults that depend on something else, as the API server has them (kubernetes pkg/apis/core/v1/defaults.go).

All others are the defaults of the model's fields.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from cricket.kubelet.model.container import Container, ContainerPort, ResourceRequirements
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.model.probe import HTTPGetAction, Lifecycle, LifecycleHandler, Probe
from cricket.kubelet.model.volume import EmptyDir, Volume


def with_defaults(spec: PodSpec) -> PodSpec:
    """The same with everything filled in; idempotent."""
    spec = replace(
        spec,
        containers=tuple(_container(c, spec.host_network) for c in spec.containers),
        init_containers=tuple(_container(c, spec.host_network) for c in spec.init_containers),
        volumes=tuple(_volume(v) for v in spec.volumes),
    )
    if spec.resources is not None:
        spec = replace(spec, resources=_pod_resources(spec, spec.resources))
    return spec


def pull_policy(image: str) -> str:
    """Always for a tag `latest`, given or not; IfNotPresent for others and for digests."""
    if "@" in image:
        return "IfNotPresent"
    name, colon, tag = image.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    return "IfNotPresent" if tagged and tag != "latest" else "Always"


def _container(container: Container, host_network: bool) -> Container:
    lifecycle = container.lifecycle
    if lifecycle is not None:
        lifecycle = replace(lifecycle, post_start=_hook(lifecycle.post_start), pre_stop=_hook(lifecycle.pre_stop))
        lifecycle = None if lifecycle == Lifecycle() else lifecycle
    return replace(
        container,
        image_pull_policy=container.image_pull_policy or pull_policy(container.image),
        termination_message_path=container.termination_message_path or "/dev/termination-log",
        termination_message_policy=container.termination_message_policy or "File",
        resources=_resources(container.resources),
        ports=tuple(_port(port, host_network) for port in container.ports),
        liveness_probe=_probe(container.liveness_probe),
        readiness_probe=_probe(container.readiness_probe),
        startup_probe=_probe(container.startup_probe),
        lifecycle=lifecycle,
    )


def _resources(value: ResourceRequirements) -> ResourceRequirements:
    return replace(value, requests={**value.limits, **value.requests})


def _pod_resources(spec: PodSpec, value: ResourceRequirements) -> ResourceRequirements:
    """As `_resources`, but what the containers request goes before the pod's limit; validation adds them up."""
    if not (value.limits or value.requests):
        return value
    asked = {name for c in spec.containers for name in c.resources.requests}
    limits = {name: amount for name, amount in value.limits.items() if name not in asked}
    return replace(value, requests={**limits, **value.requests})


def _port(port: ContainerPort, host_network: bool) -> ContainerPort:
    host_port = port.host_port or (port.container_port if host_network else 0)
    return replace(port, host_port=host_port, protocol=port.protocol or "TCP")


def _probe(probe: Probe | None) -> Probe | None:
    """A zero counts as not given."""
    if probe is None:
        return None
    fields = ("timeout_seconds", "period_seconds", "success_threshold", "failure_threshold")
    defaults = {f.name: f.default for f in msgspec.structs.fields(Probe) if f.name in fields}
    zeros: dict[str, Any] = {name: defaults[name] for name in fields if getattr(probe, name) == 0}
    return replace(probe, http_get=_http(probe.http_get), **zeros)


def _hook(handler: LifecycleHandler | None) -> LifecycleHandler | None:
    return None if handler is None else replace(handler, http_get=_http(handler.http_get))


def _http(action: HTTPGetAction | None) -> HTTPGetAction | None:
    return None if action is None else replace(action, path=action.path or "/", scheme=action.scheme or "HTTP")


def _volume(volume: Volume) -> Volume:
    given = any(getattr(volume, field) is not None for field in volume.__struct_fields__ if field != "name")
    if not given:
        return replace(volume, empty_dir=EmptyDir())
    if volume.image is not None and not volume.image.pull_policy:
        return replace(volume, image=replace(volume.image, pull_policy=pull_policy(volume.image.reference)))
    return volume
