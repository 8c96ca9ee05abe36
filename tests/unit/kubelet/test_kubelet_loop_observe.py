"""What is believed of the runtime while several looks at it are under way."""

from __future__ import annotations

import asyncio
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet.loop_observe import AGENT, NAME, UID, Observer
from cricket.kubelet.loop_records import State

_LABELS = {AGENT: "a", UID: "u1", NAME: "main"}


class _Runtime:
    """One pod with one container. The first list of containers is answered when `go` is set, with what was then."""

    def __init__(self) -> None:
        self.state, self.there = 0, True
        self.go, self.asked = asyncio.Event(), asyncio.Event()

    async def call(self, method: str, /, **fields: Any) -> Any:
        if method == "ListPodSandbox":
            box = pb.PodSandbox(id="b", metadata=pb.PodSandboxMetadata(uid="u1"), labels=_LABELS)
            return pb.ListPodSandboxResponse(items=[box] if self.there else [])
        if method == "ListContainers":
            found = [pb.Container(id="c", pod_sandbox_id="b", state=self.state, labels=_LABELS)]
            answer = pb.ListContainersResponse(containers=found if self.there else [])
            if not self.asked.is_set():
                self.asked.set()
                await self.go.wait()
            return answer
        if method == "ContainerStatus":
            status = pb.ContainerStatus(id="c", metadata=pb.ContainerMetadata(name="main"), state=self.state)
            return pb.ContainerStatusResponse(status=status)
        return pb.PodSandboxStatusResponse()


async def test_a_look_that_began_before_another_changes_nothing() -> None:
    runtime = _Runtime()
    observer = Observer(runtime, "a")  # type: ignore[arg-type]  # only `call` is used
    slow = asyncio.create_task(observer.relist())
    await runtime.asked.wait()
    runtime.state = 1
    assert await observer.relist("u1") == {"u1"}
    runtime.state = 0  # the slow one is told what was true when it began
    runtime.go.set()
    assert await slow == set()
    assert observer.records("u1").containers[0].state is State.RUNNING


async def test_a_removed_pod_does_not_come_back() -> None:
    runtime = _Runtime()
    observer = Observer(runtime, "a")  # type: ignore[arg-type]  # only `call` is used
    slow = asyncio.create_task(observer.relist())
    await runtime.asked.wait()
    runtime.there = False
    observer.gone("u1")
    runtime.go.set()
    assert await slow == set() and observer.uids() == set()


async def test_a_pod_that_goes_on_its_own_is_noticed() -> None:
    runtime = _Runtime()
    runtime.go.set()
    observer = Observer(runtime, "a")  # type: ignore[arg-type]  # only `call` is used
    assert await observer.relist() == {"u1"}
    runtime.there = False
    assert await observer.relist() == {"u1"}
    assert observer.uids() == set()
