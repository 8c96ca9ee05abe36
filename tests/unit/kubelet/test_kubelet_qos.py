"""QoS classes, OOM scores and resources in CRI's units."""

from __future__ import annotations

import pytest
from kubelet_pods import NODE, pod
from msgspec.structs import replace

from cricket.kubelet.cgroup_parent import cgroup_parent
from cricket.kubelet.cri_resources import container_resources, pod_resources, quota, shares
from cricket.kubelet.qos import oom_score_adj, qos_class, total_limits, total_requests

LIMITS = "resources: {limits: {cpu: 500m, memory: 1Gi}}"


@pytest.mark.parametrize(
    ("container", "quality"),
    [("", "BestEffort"), (LIMITS, "Guaranteed"), ("resources: {limits: {cpu: 1}}", "Burstable"),
     ("resources: {requests: {memory: 1Mi}}", "Burstable"), ("resources: {requests: {cpu: 0}}", "BestEffort"),
     ("resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}", "Burstable")],
)  # fmt: skip
def test_classes(container: str, quality: str) -> None:
    assert qos_class(pod(container=container)) == quality


def test_an_init_container_without_limits_spoils_it() -> None:
    assert qos_class(pod(spec="initContainers: [{name: i, image: 'x:1'}]", container=LIMITS)) == "Burstable"


def test_pod_level() -> None:
    made = pod(spec="resources: {limits: {cpu: 2, memory: 2Gi}}", container="")
    assert qos_class(made) == "Guaranteed"
    resources = container_resources(made, made.spec.containers[0], NODE)
    assert (resources.cpu_quota, resources.memory_limit_in_bytes, resources.cpu_shares) == (200_000, 2 << 30, 2048)


def test_totals() -> None:
    made = pod(
        spec="""
            initContainers:
              - {name: side, image: "x:1", restartPolicy: Always, resources: {requests: {cpu: 100m}}}
              - {name: big, image: "x:1", resources: {requests: {cpu: 3}}}
            containers:
              - {name: a, image: "x:1", resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}
              - {name: b, image: "x:1", resources: {requests: {cpu: 500m}}}
        """
    )
    assert total_requests(made)["cpu"] * 1000 == 3100
    assert "memory" not in total_limits(made)


@pytest.mark.parametrize(
    ("container", "score"),
    [("", 1000), (LIMITS, -997), ("resources: {requests: {memory: 4Gi}}", 500),
     ("resources: {requests: {cpu: 1}}", 999), ("resources: {requests: {memory: 8Gi}}", 3)],
)  # fmt: skip
def test_oom_scores(container: str, score: int) -> None:
    made = pod(container=container)
    assert oom_score_adj(made, made.spec.containers[0], 8 << 30) == score


def test_oom_score_of_critical_pods_and_sidecars() -> None:
    critical = pod(spec="priorityClassName: system-node-critical")
    assert oom_score_adj(critical, critical.spec.containers[0], 8 << 30) == -997
    made = pod(
        spec="initContainers: [{name: s, image: 'x:1', restartPolicy: Always}]",
        container="resources: {requests: {memory: 4Gi}}",
    )
    assert oom_score_adj(made, made.spec.init_containers[0], 8 << 30) == 500


@pytest.mark.parametrize(("millis", "weight"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (10**9, 262144)])
def test_shares(millis: int, weight: int) -> None:
    assert shares(millis) == weight


@pytest.mark.parametrize(("millis", "microseconds"), [(0, 0), (1, 1000), (10, 1000), (500, 50_000), (2500, 250_000)])
def test_quota(millis: int, microseconds: int) -> None:
    assert quota(millis) == microseconds


def test_container_resources() -> None:
    made = pod(container="resources: {limits: {memory: 64Mi, hugepages-2Mi: 4Mi}, requests: {cpu: 250m}}")
    node = replace(NODE, swap=True, hugepage_sizes=("2MB", "1GB"))
    resources = container_resources(made, made.spec.containers[0], node)
    assert (resources.cpu_shares, resources.cpu_quota, resources.cpu_period) == (256, 0, 100_000)
    assert resources.memory_limit_in_bytes == resources.memory_swap_limit_in_bytes == 64 << 20
    assert [(h.page_size, h.limit) for h in resources.hugepage_limits] == [("2MB", 4 << 20), ("1GB", 0)]
    unified = container_resources(made, made.spec.containers[0], replace(node, unified_cgroups=True))
    assert dict(unified.unified) == {"memory.oom.group": "1", "memory.swap.max": "0"}
    assert unified.memory_swap_limit_in_bytes == 0


def test_overhead() -> None:
    made = pod(spec="overhead: {cpu: 250m, memory: 120Mi}", container=LIMITS)
    overhead, resources = pod_resources(made, NODE)
    assert (overhead.cpu_quota, overhead.memory_limit_in_bytes) == (25_000, 120 << 20)
    assert (resources.cpu_quota, resources.memory_limit_in_bytes) == (50_000, 1 << 30)
    assert not pod_resources(pod(), NODE)[0].ByteSize()


def test_cgroup_parents() -> None:
    assert cgroup_parent(pod(container=LIMITS, metadata="uid: a-b"), NODE) == "/cricketpods/poda-b"
    best_effort = pod(metadata="uid: a-b")
    assert cgroup_parent(best_effort, NODE) == "/cricketpods/besteffort/poda-b"
    assert cgroup_parent(best_effort, replace(NODE, cgroup_root="/")) == "/besteffort/poda-b"
    assert cgroup_parent(best_effort, replace(NODE, systemd=True, cgroup_root="/my-pods")) == (
        "/my_pods.slice/my_pods-besteffort.slice/my_pods-besteffort-poda_b.slice"
    )
