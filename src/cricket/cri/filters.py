"""List filters: every condition that is given must hold; an id may be a unique prefix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_container import container_state_to
from cricket.cri.convert_sandbox import sandbox_state_to
from cricket.cri.framing import Record
from cricket.types.container import Container, ContainerState
from cricket.types.sandbox import Sandbox, SandboxState

R = TypeVar("R", bound=Record)


def visible_sandboxes(records: Sequence[Sandbox]) -> list[Sandbox]:
    """Those that CRI shows: a sandbox that is still being made is not there yet."""
    return [r for r in records if r.state is not SandboxState.CREATING]


def visible_containers(records: Sequence[Container]) -> list[Container]:
    """Those that CRI shows: a container that is still being made is not there yet."""
    return [r for r in records if r.state is not ContainerState.CREATING]


def by_id(records: Sequence[R], prefix: str) -> list[R]:
    """The record with this id, or the only one whose id starts so; else nothing. All of them for ""."""
    if not prefix:
        return list(records)
    matches = [r for r in records if r.id.startswith(prefix)]
    return next(([r] for r in matches if r.id == prefix), matches if len(matches) == 1 else [])


def labels_match(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether `labels` have every pair of `selector`."""
    return all(labels.get(key) == value for key, value in selector.items())


def select_sandboxes(
    records: Sequence[Sandbox], wanted: pb.PodSandboxFilter | pb.PodSandboxStatsFilter
) -> list[Sandbox]:
    """`PodSandboxFilter`, and `PodSandboxStatsFilter`, which lacks the state."""
    found = by_id(records, wanted.id)
    if isinstance(wanted, pb.PodSandboxFilter) and wanted.HasField("state"):
        found = [r for r in found if sandbox_state_to(r.state) == wanted.state.state]
    selector = dict(wanted.label_selector)
    return [r for r in found if labels_match(r.config.labels, selector)] if selector else found


def select_containers(
    records: Sequence[Container],
    sandboxes: Sequence[Sandbox],
    wanted: pb.ContainerFilter | pb.ContainerStatsFilter,
) -> list[Container]:
    """`ContainerFilter`, and `ContainerStatsFilter`, which lacks the state."""
    found = by_id(records, wanted.id)
    if wanted.pod_sandbox_id:
        box = wanted.pod_sandbox_id
        resolved = by_id(sandboxes, box)
        box = resolved[0].id if resolved else box
        found = [r for r in found if r.sandbox_id == box]
    if isinstance(wanted, pb.ContainerFilter) and wanted.HasField("state"):
        found = [r for r in found if container_state_to(r.state) == wanted.state.state]
    selector = dict(wanted.label_selector)
    return [r for r in found if labels_match(r.config.labels, selector)] if selector else found
