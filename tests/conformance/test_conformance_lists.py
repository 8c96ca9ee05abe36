"""Checklist 8 to 14: identity, listing, idempotence."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
from conformance_kit import FOREVER, STUBBORN, ConformanceNode, refused
from harness.node import until

pytestmark = pytest.mark.root
MISSING = "0123456789abcdef" * 4


def test_08_status_of_a_missing_sandbox_or_container_is_not_found(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.create(pod, node.container(image, *FOREVER))
    node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
    for pod_id, container_id in ((MISSING, MISSING), ("nosuch", "nosuch"), (pod, container)):
        for method in ("PodSandboxStatus", "PodSandboxStats"):
            with refused("NOT_FOUND"):
                node.cri.call(method, pod_sandbox_id=pod_id)
        for method in ("ContainerStatus", "ContainerStats", "StartContainer", "ReopenContainerLog"):
            with refused("NOT_FOUND"):
                node.cri.call(method, container_id=container_id)
        with refused("NOT_FOUND"):
            node.create(pod_id, node.container(image, *FOREVER))


def test_09_stop_and_remove_of_what_is_missing_succeed(node: ConformanceNode) -> None:
    for method in ("StopPodSandbox", "RemovePodSandbox"):
        node.cri.call(method, pod_sandbox_id=MISSING)
    node.cri.call("StopContainer", container_id=MISSING, timeout=1)
    node.cri.call("RemoveContainer", container_id=MISSING)
    node.cri.call("RemoveImage", image={"image": f"sha256:{MISSING}"})
    node.cri.call("RemoveImage", image={"image": "example.org/no/such:1"})


def test_09_removal_twice_succeeds(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod, node.container(image, *FOREVER))
    for _ in range(2):
        node.cri.call("RemoveContainer", container_id=container)
    for _ in range(2):
        node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)


def test_09_image_status_of_a_missing_image_is_no_image(node: ConformanceNode) -> None:
    for name in ("example.org/no/such:1", f"sha256:{MISSING}", f"example.org/a@sha256:{MISSING}"):
        assert not node.cri.call("ImageStatus", image={"image": name}).HasField("image")


def test_10_filters_are_anded_and_unknown_ids_match_nothing(node: ConformanceNode, image: str) -> None:
    pods = [node.run_pod(node.pod(labels={"app": "a", "n": str(i)})) for i in range(2)]
    made = [node.create(p, node.container(image, *FOREVER, labels={"app": "c"})) for p in pods]
    node.start(made[0])

    def boxes(**wanted: Any) -> list[str]:
        return [item.id for item in node.cri.call("ListPodSandbox", filter=wanted).items]

    def containers(**wanted: Any) -> list[str]:
        return [item.id for item in node.cri.call("ListContainers", filter=wanted).containers]

    assert set(boxes()) == set(pods) and set(boxes(label_selector={"app": "a"})) == set(pods)
    assert boxes(label_selector={"app": "a", "n": "1"}) == [pods[1]]
    assert boxes(id=pods[0], label_selector={"n": "1"}) == [] == boxes(id=MISSING)
    assert boxes(id=pods[0], state={"state": "SANDBOX_NOTREADY"}) == []
    assert containers(pod_sandbox_id=pods[1]) == [made[1]]
    assert containers(state={"state": "CONTAINER_RUNNING"}, label_selector={"app": "c"}) == [made[0]]
    assert containers(id=made[0], pod_sandbox_id=pods[1]) == [] == containers(id=MISSING)
    assert containers(pod_sandbox_id=MISSING) == []


def test_10_unique_short_ids_are_accepted(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod[:12], node.container(image, *FOREVER))
    assert node.pod_status(pod[:12]).id == pod
    assert node.status(container[:12]).id == container
    assert [c.id for c in node.cri.call("ListContainers", filter={"id": container[:12]}).containers] == [container]
    assert node.output(container[:12], "echo", "hello") == "hello\n"
    node.cri.call("StopContainer", container_id=container[:12], timeout=0)
    assert node.state_of(container) == "CONTAINER_EXITED"
    node.cri.call("RemovePodSandbox", pod_sandbox_id=pod[:12])
    assert not node.cri.call("ListPodSandbox").items


def test_11_lists_and_status_do_not_wait_for_verbs(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    container = node.run(pod, node.container(image, *STUBBORN))
    until(lambda: "ready" in node.log_of(container), "the trap is not set")
    stopping = node.cri.start("StopContainer", container_id=container, timeout=30)
    removing = node.cri.start("RemoveContainer", container_id=node.create(pod, node.container(image, name="other")))
    slowest = 0.0
    calls: dict[str, Any] = {
        "ListPodSandbox": {},
        "ListContainers": {},
        "PodSandboxStatus": {"pod_sandbox_id": pod},
        "ContainerStatus": {"container_id": container},
    }
    for _ in range(20):
        for method, fields in calls.items():
            began = time.monotonic()
            node.cri.call(method, **fields)
            slowest = max(slowest, time.monotonic() - began)
    assert not stopping.done() and node.state_of(container) == "CONTAINER_RUNNING"
    assert slowest < 5.0, f"{slowest} s; the stop takes 30"
    removing.result()
    node.cri.call("StopContainer", container_id=container, timeout=0)
    stopping.result()


def test_12_labels_and_annotations_come_back_verbatim(node: ConformanceNode, image: str) -> None:
    words = {
        "io.kubernetes.container.restartCount": "3",
        "empty": "",
        "unicode": "grün ✓ \U0001f997",
        "odd/key": '{"a": [1, 2], "quote": "\\""}\n\t',
        "long": "x" * 50_000,
    }
    config = node.pod(labels=words, annotations={**words, "kind": "pod"})
    pod = node.run_pod(config)
    container = node.create(pod, node.container(image, labels=words, annotations={**words, "kind": "c"}), config)
    for _ in range(2):
        for item in (node.pod_status(pod), node.cri.call("ListPodSandbox").items[0]):
            assert dict(item.labels) == words and dict(item.annotations) == {**words, "kind": "pod"}
        for item in (node.status(container), node.cri.call("ListContainers").containers[0]):
            assert dict(item.labels) == words and dict(item.annotations) == {**words, "kind": "c"}
        node.restart(kill=True)


def test_13_created_at_is_in_nanoseconds_and_grows(node: ConformanceNode, image: str) -> None:
    before = time.time_ns()
    pods = [node.run_pod() for _ in range(2)]
    made = [node.create(pods[0], node.container(image, name=f"c{i}")) for i in range(3)]
    times = [node.pod_status(p).created_at for p in pods] + [node.status(c).created_at for c in made]
    assert times == sorted(set(times)) and before <= times[0] and times[-1] <= time.time_ns() + 10**9
    node.restart(kill=True)
    assert [node.pod_status(p).created_at for p in pods] + [node.status(c).created_at for c in made] == times
    assert {item.created_at for item in node.cri.call("ListContainers").containers} == set(times[2:])


def test_13_created_at_survives_a_clock_that_went_back(node: ConformanceNode, image: str) -> None:
    """The records are an hour ahead, as if the clock had been: what is made now is still newer."""
    pod = node.run_pod()
    old = node.create(pod, node.container(image, name="old"))
    node.daemon.stop()
    ahead = time.time_ns() + 3600 * 10**9
    with closing(sqlite3.connect(node.root / "state.db")) as database, database:
        rows = database.execute("SELECT id, body FROM records WHERE id = ?", (old,)).fetchall()
        assert rows
        for name, body in rows:
            changed = json.loads(body) | {"created_at": ahead}
            database.execute("UPDATE records SET body = ? WHERE id = ?", (json.dumps(changed), name))
    node.daemon.start()
    assert node.status(old).created_at == ahead
    assert node.status(node.create(pod, node.container(image, name="new"))).created_at > ahead


_STREAMS = {
    "StreamPodSandboxes": ("ListPodSandbox", "pod_sandboxes", "items"),
    "StreamContainers": ("ListContainers", "containers", "containers"),
    "StreamImages": ("ListImages", "images", "images"),
}
_STATS = {
    "StreamContainerStats": "container_stats",
    "StreamPodSandboxStats": "pod_sandbox_stats",
}


def test_14_list_streams_give_each_item_once_and_end(node: ConformanceNode, image: str) -> None:
    labels = {"big": "x" * 100_000}  # several messages
    pods = [node.run_pod(node.pod(labels=labels)) for _ in range(3)]
    made = [node.create(p, node.container(image, name=f"c{i}", labels=labels)) for p in pods for i in range(4)]
    for method, (unary, streamed, listed) in _STREAMS.items():
        items = [item for answer in node.cri.stream(method, within=10) for item in getattr(answer, streamed)]
        assert items == list(getattr(node.cri.call(unary), listed)), method
    for method, field in _STATS.items():
        stats = [item for answer in node.cri.stream(method, within=20) for item in getattr(answer, field)]
        ids = [item.attributes.id for item in stats]
        assert len(ids) == len(set(ids)) and set(ids) <= set(pods + made), method
    metrics = [m for a in node.cri.stream("StreamPodSandboxMetrics", within=20) for m in a.pod_sandbox_metrics]
    assert sorted(m.pod_sandbox_id for m in metrics) == sorted(pods)
    wanted = {"pod_sandbox_id": pods[1]}
    some = [c.id for a in node.cri.stream("StreamContainers", filter=wanted, within=10) for c in a.containers]
    assert sorted(some) == sorted(made[4:8])
    assert not [c for a in node.cri.stream("StreamContainers", filter={"id": MISSING}) for c in a.containers]
