"""Filters and streams of lists."""

from __future__ import annotations

from typing import Any

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.filters import by_id
from cricket.types.image import Image


async def _two_pods(client: Any) -> tuple[str, str, str, str]:
    ready = await client.sandbox("ready", labels={"app": "web", "tier": "front"})
    stopped = await client.sandbox("stopped", labels={"app": "web"})
    running = await client.container(ready, "run", labels={"app": "web"})
    created = await client.container(ready, "created", start=False, labels={"app": "db"})
    await client.call("StopPodSandbox", pb.StopPodSandboxRequest(pod_sandbox_id=stopped))
    return ready, stopped, running, created


async def _pods(client: Any, **filter_: Any) -> list[str]:
    wanted = pb.PodSandboxFilter(**filter_)
    listed = [i.id for i in (await client.call("ListPodSandbox", pb.ListPodSandboxRequest(filter=wanted))).items]
    batches = await client.call("StreamPodSandboxes", pb.StreamPodSandboxesRequest(filter=wanted))
    assert [i.id for b in batches for i in b.pod_sandboxes] == listed
    return listed


async def _containers(client: Any, **filter_: Any) -> list[str]:
    wanted = pb.ContainerFilter(**filter_)
    listed = [i.id for i in (await client.call("ListContainers", pb.ListContainersRequest(filter=wanted))).containers]
    batches = await client.call("StreamContainers", pb.StreamContainersRequest(filter=wanted))
    assert [i.id for b in batches for i in b.containers] == listed
    assert all(b.containers for b in batches)
    return listed


async def test_sandbox_filters_are_anded(client: Any) -> None:
    ready, stopped, *_ = await _two_pods(client)
    is_ready = pb.PodSandboxStateValue(state=pb.SANDBOX_READY)
    not_ready = pb.PodSandboxStateValue(state=pb.SANDBOX_NOTREADY)
    assert await _pods(client) == [ready, stopped]
    assert await _pods(client, state=is_ready) == [ready]
    assert await _pods(client, state=not_ready) == [stopped]
    assert await _pods(client, id=ready[:13]) == [ready]
    assert await _pods(client, id=ready, state=not_ready) == []
    assert await _pods(client, id="unknown") == []
    assert await _pods(client, label_selector={"app": "web"}) == [ready, stopped]
    assert await _pods(client, label_selector={"app": "web", "tier": "front"}) == [ready]
    assert await _pods(client, label_selector={"app": "web"}, state=not_ready) == [stopped]
    assert await _pods(client, label_selector={"other": ""}) == []


async def test_container_filters_are_anded(client: Any) -> None:
    ready, stopped, running, created = await _two_pods(client)
    is_running = pb.ContainerStateValue(state=pb.CONTAINER_RUNNING)
    is_created = pb.ContainerStateValue(state=pb.CONTAINER_CREATED)
    assert await _containers(client) == [running, created]
    assert await _containers(client, state=is_running) == [running]
    assert await _containers(client, state=is_created) == [created]
    assert await _containers(client, pod_sandbox_id=ready[:13]) == [running, created]
    assert await _containers(client, pod_sandbox_id=stopped) == []
    assert await _containers(client, pod_sandbox_id="unknown") == []
    assert await _containers(client, id=created[:13]) == [created]
    assert await _containers(client, id=created, pod_sandbox_id=stopped) == []
    assert await _containers(client, label_selector={"app": "db"}) == [created]
    assert await _containers(client, label_selector={"app": "db"}, state=is_running) == []


@pytest.mark.parametrize(("prefix", "found"), [("", 3), ("a", 0), ("ab", 1), ("abc", 1), ("ac", 1), ("b", 0)])
def test_prefixes_must_be_unique_and_an_exact_id_wins(prefix: str, found: int) -> None:
    records = [Image("ab"), Image("abc"), Image("ac")]
    chosen = by_id(records, prefix)
    assert len(chosen) == found
    if prefix == "ab":
        assert chosen[0].id == "ab"
