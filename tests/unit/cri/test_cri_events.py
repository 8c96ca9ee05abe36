"""GetContainerEvents."""

from __future__ import annotations

import asyncio
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.fake import FakeEngine

CREATED, STARTED = pb.CONTAINER_CREATED_EVENT, pb.CONTAINER_STARTED_EVENT
STOPPED, DELETED = pb.CONTAINER_STOPPED_EVENT, pb.CONTAINER_DELETED_EVENT


async def test_events_carry_the_whole_sandbox(client: Any, engine: FakeEngine) -> None:
    stream = client.start("GetContainerEvents")
    async with asyncio.timeout(5):
        while not engine.node._readers:
            await asyncio.sleep(0.005)
        box = await client.sandbox()
        own = [await stream.read(), await stream.read()]
        assert [(e.container_id, e.container_event_type) for e in own] == [(box, CREATED), (box, STARTED)]
        assert all(e.pod_sandbox_status.id == box and e.pod_sandbox_status.network.ip for e in own)
        container = await client.container(box)
        events = [await stream.read(), await stream.read()]
        assert [(e.container_id, e.container_event_type) for e in events] == [
            (container, CREATED),
            (container, STARTED),
        ]
        assert events[1].containers_statuses[0].state == pb.CONTAINER_RUNNING
        assert events[1].pod_sandbox_status.metadata.uid == "uid-pod"
        await client.call("RemovePodSandbox", pb.RemovePodSandboxRequest(pod_sandbox_id=box))
        ends = [await stream.read() for _ in range(4)]
    assert [(e.container_id, e.container_event_type) for e in ends] == [
        (container, STOPPED),
        (box, STOPPED),
        (container, DELETED),
        (box, DELETED),
    ]
    assert ends[3].pod_sandbox_status.state == pb.SANDBOX_NOTREADY
    assert ends[3].pod_sandbox_status.metadata.name == "pod" and not ends[3].containers_statuses
    stamps = [e.created_at for e in (*own, *events, *ends)]
    assert stamps == sorted(stamps) and stamps[0] > 10**18
    stream.cancel()
    async with asyncio.timeout(5):
        while engine.node._readers:
            await asyncio.sleep(0.005)
