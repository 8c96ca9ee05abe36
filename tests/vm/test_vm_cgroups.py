"""The systemd driver on cgroup v2, as a kubelet uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.node import POD, until
from vm_node import (
    CGROUPS,
    FOREVER,
    MIB,
    VmNode,
    cgroup_of_container,
    cgroup_of_scope,
    make_slice,
    show,
    slice_name,
    slice_path,
    systemctl,
    words_of,
)

from cricket._proto.cri import api_pb2 as pb

pytestmark = pytest.mark.root


def test_this_is_the_machine_that_is_meant(service: VmNode) -> None:
    assert Path("/proc/1/comm").read_text().strip() == "systemd"
    assert (CGROUPS / "cgroup.controllers").exists() and not (CGROUPS / "unified").exists()
    found = {h.name for h in service.cri.call("Status").runtime_handlers}
    assert found == {"", "crun", "runc"}


def test_the_driver_is_systemd(service: VmNode) -> None:
    assert service.cri.call("RuntimeConfig").linux.cgroup_driver == pb.CgroupDriver.SYSTEMD


def test_containers_are_scopes_in_the_slice_of_their_pod(node: VmNode, image: str, handler: str) -> None:
    config = node.pod()
    pod = node.run_pod(config, handler)
    container = node.run(pod, node.container(image, *FOREVER))
    scope, parent = f"cri-cricket-{container}.scope", slice_path(config["metadata"]["uid"])
    inner = "/container" if handler == "crun" else ""
    assert Path(f"/proc/{node.pid(container)}/cgroup").read_text() == f"0::{parent}/{scope}{inner}\n"
    assert show(scope, "ActiveState") == "active" and show(scope, "Delegate") == "yes"
    assert show(scope, "Slice") == parent.rpartition("/")[2]
    # The pod shares its PID namespace by default, so it has an init, in a scope beside it.
    assert cgroup_of_scope(pod) == CGROUPS / parent[1:] / f"cri-cricket-{pod}.scope"
    # A command that is run in the container belongs to it.
    assert node.output(container, "cat", "/proc/self/cgroup") == "0::/\n"


def test_limits_reach_the_cgroup(node: VmNode, image: str, handler: str) -> None:
    resources = {
        "memory_limit_in_bytes": 64 * MIB,
        "cpu_period": 100_000,
        "cpu_quota": 50_000,
        "cpu_shares": 512,
        "cpuset_cpus": "0",
        "unified": {"memory.high": str(48 * MIB), "pids.max": "77"},
    }
    pod = node.run_pod(node.pod(), handler)
    container = node.run(pod, node.container(image, *FOREVER, resources=resources))
    files = cgroup_of_container(container)
    assert read(files, "memory.max") == str(64 * MIB)
    assert read(files, "memory.high") == str(48 * MIB)
    assert read(files, "cpu.max") == "50000 100000"
    assert read(files, "cpu.weight") == "20"
    assert read(files, "cpuset.cpus") == "0"
    assert read(files, "pids.max") == "77"
    assert node.output(container, "nproc") == "1\n"


def test_a_container_sees_its_own_cgroup(node: VmNode, image: str, handler: str) -> None:
    resources = {"memory_limit_in_bytes": 64 * MIB}
    container = node.run(node.run_pod(node.pod(), handler), node.container(image, *FOREVER, resources=resources))
    assert node.output(container, "cat", "/sys/fs/cgroup/memory.max") == f"{64 * MIB}\n"
    assert "ro," in node.output(container, "grep", " /sys/fs/cgroup ", "/proc/mounts")


def test_update_changes_the_limits_and_systemd_keeps_them(node: VmNode, image: str, handler: str) -> None:
    before = {"memory_limit_in_bytes": 64 * MIB, "cpu_shares": 512}
    after = {
        "memory_limit_in_bytes": 96 * MIB,
        "cpu_shares": 2048,
        "cpu_quota": 20_000,
        "cpu_period": 100_000,
        "cpuset_cpus": "1",
        "unified": {"pids.max": "99"},
    }
    container = node.run(node.run_pod(node.pod(), handler), node.container(image, *FOREVER, resources=before))
    files = cgroup_of_container(container)
    node.cri.call("UpdateContainerResources", container_id=container, linux=after)
    wanted = {
        "memory.max": str(96 * MIB),
        "cpu.weight": "79",
        "cpu.max": "20000 100000",
        "cpuset.cpus": "1",
        "pids.max": "99",
    }
    assert {name: read(files, name) for name in wanted} == wanted
    told = node.status(container).resources.linux
    assert (told.memory_limit_in_bytes, told.cpu_shares, told.cpu_quota) == (96 * MIB, 2048, 20_000)
    # systemd writes what it knows of every unit again when its configuration is read anew.
    systemctl("daemon-reload")
    assert {name: read(files, name) for name in wanted} == wanted


def test_an_oom_kill_is_told(node: VmNode, image: str, handler: str) -> None:
    limit = {"memory_limit_in_bytes": 16 * MIB}
    pod = node.run_pod(node.pod(), handler)
    status = node.wait_exit(node.run(pod, node.container(image, "tail", "/dev/zero", name="a", resources=limit)))
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    # Process 1 outlives its child, and the counter has to be read before systemd removes the scope.
    script = ("sh", "-c", "tail /dev/zero; exit 0")
    status = node.wait_exit(node.run(pod, node.container(image, *script, name="b", resources=limit)))
    assert status.reason == "OOMKilled"


def test_an_oom_kill_while_the_daemon_is_away_is_told(node: VmNode, image: str, handler: str) -> None:
    script = ("sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; exec tail /dev/zero")
    limit = {"memory_limit_in_bytes": 16 * MIB}
    container = node.run(node.run_pod(node.pod(), handler), node.container(image, *script, resources=limit))
    pid = node.pid(container)
    systemctl("stop", "cricket")
    Path(f"/proc/{pid}/root/tmp/go").touch()
    until(lambda: not Path(f"/proc/{pid}").exists(), "there is no OOM kill", 60)
    systemctl("start", "cricket")
    node.connect()
    status = node.wait_exit(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


def test_the_pods_own_limits_bind_its_containers(node: VmNode, image: str, handler: str) -> None:
    config = node.pod()
    name = slice_name(config["metadata"]["uid"])
    make_slice(name, MemoryMax=24 * MIB, MemorySwapMax=0, TasksMax=20)
    pod = node.run_pod(config, handler)
    forks = ("sh", "-c", "for i in $(seq 40); do sleep 1000 & done; wait")
    container = node.run(pod, node.container(image, *forks, name="forks"))
    until(lambda: "can't fork" in node.log_of(container), "there is no limit of tasks")
    node.cri.call("StopContainer", container_id=container, timeout=0)
    status = node.wait_exit(node.run(pod, node.container(image, "tail", "/dev/zero", name="eats")))
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    # The kubelet's slice is the kubelet's to remove.
    node.remove_pods()
    assert show(name, "ActiveState") == "active"
    systemctl("stop", name)


def test_stats_come_from_the_unified_hierarchy(node: VmNode, image: str, handler: str) -> None:
    config = node.pod()
    pod = node.run_pod(config, handler)
    busy = ("sh", "-c", "head -c 8000000 /dev/zero > /tmp/f; while :; do :; done")
    limit = {"memory_limit_in_bytes": 64 * MIB, "cpu_quota": 50_000, "cpu_period": 100_000}
    container = node.run(pod, node.container(image, *busy, resources=limit))
    files = cgroup_of_container(container)
    until(lambda: int(words_of(files / "cpu.stat")["nr_throttled"]) > 2, "it is not throttled", 60)
    stats = node.cri.call("ContainerStats", container_id=container).stats
    usage = int(words_of(files / "cpu.stat")["usage_usec"]) * 1000
    assert 0 < stats.cpu.usage_core_nano_seconds.value <= usage
    assert 0 < stats.memory.working_set_bytes.value < 64 * MIB
    assert stats.memory.available_bytes.value == 64 * MIB - stats.memory.working_set_bytes.value
    # Pressure stall information: waiting for the quota is pressure.
    assert stats.cpu.psi.Some.Total > 0
    assert stats.memory.HasField("psi") and stats.io.HasField("psi")
    of_pod = node.cri.call("PodSandboxStats", pod_sandbox_id=pod).stats.linux
    assert of_pod.cpu.usage_core_nano_seconds.value >= stats.cpu.usage_core_nano_seconds.value
    assert of_pod.process.process_count.value >= 2  # the init and the container
    assert [c.attributes.id for c in of_pod.containers] == [container]


def test_a_pod_outside_of_kubepods(node: VmNode, image: str, handler: str) -> None:
    """crictl and the kubelet's --cgroup-root give other parents, or none."""
    for parent, path in (
        ("", "/system.slice"),
        ("/my.slice/my-pods.slice", "/my.slice/my-pods.slice"),
        ("-.slice", ""),
    ):
        pod = node.run_pod(node.pod(cgroup_parent=parent), handler)
        container = node.run(pod, node.container(image, *FOREVER))
        assert cgroup_of_scope(container) == Path(f"{CGROUPS}{path}/cri-cricket-{container}.scope")


def test_stop_ends_what_shares_the_pods_pid_namespace(node: VmNode, image: str, handler: str) -> None:
    """Without a PID namespace of its own nothing dies with process 1; cgroup.kill gets it all."""
    pod = node.run_pod(node.pod(), handler)
    script = ("sh", "-c", "trap '' TERM; sleep 1000000 & sleep 1000000 & wait")
    config = node.container(image, *script, security={"namespace_options": {"pid": POD}})
    container = node.run(pod, config)
    files = cgroup_of_container(container)
    until(lambda: len(read(files, "cgroup.procs").split()) == 3, "the children are not there")
    node.cri.call("StopContainer", container_id=container, timeout=0)
    until(lambda: not files.exists(), "the cgroup stays")


def read(directory: Path, name: str) -> str:
    """A cgroup file."""
    return (directory / name).read_text().strip()
