"""Checklist 20 to 27: containers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conformance_kit import FOREVER, STUBBORN, ConformanceNode, refused, resources
from harness.cri import CriError
from harness.images import Image, busybox, busybox_files
from harness.node import until

pytestmark = pytest.mark.root
MIB = 1 << 20


def test_20_times_follow_the_state(node: ConformanceNode, image: str, handler: str) -> None:
    pod = node.run_pod(handler=handler)
    container = node.create(pod, node.container(image, "sh", "-c", "sleep 0.5"))
    status = node.status(container)
    assert node.state_of(container) == "CONTAINER_CREATED"
    assert status.created_at > 0 and status.started_at == status.finished_at == 0
    node.start(container)
    running = node.status(container)
    assert running.started_at > status.created_at and running.finished_at == 0
    exited = node.wait_exit(container)
    assert exited.created_at == status.created_at and exited.started_at == running.started_at
    assert exited.finished_at > exited.started_at
    assert exited.finished_at <= time.time_ns() + 10**9


def test_20_no_container_is_unknown_after_the_daemon_died(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    ready = node.create(pod, node.container(image, *FOREVER, name="created"))
    lives = node.run(pod, node.container(image, *FOREVER, name="lives"))
    ends = node.run(pod, node.container(image, "sh", "-c", "sleep 1; exit 9", name="ends"))
    node.daemon.kill()
    pid_gone = time.monotonic() + 1.2
    while time.monotonic() < pid_gone:  # the container exits while nobody looks
        time.sleep(0.05)
    node.daemon.start()
    assert node.state_of(ready) == "CONTAINER_CREATED" and node.state_of(lives) == "CONTAINER_RUNNING"
    status = node.wait_exit(ends)
    assert (status.exit_code, status.reason) == (9, "Error") and status.finished_at > status.started_at


def test_21_a_start_failure_is_exit_code_128_and_start_error(node: ConformanceNode, image: str, handler: str) -> None:
    container = node.create(node.run_pod(handler=handler), node.container(image, "/no/such/command"))
    with pytest.raises(CriError) as error:
        node.start(container)
    assert "/no/such/command" in error.value.text
    status = node.status(container)
    assert node.state_of(container) == "CONTAINER_EXITED"
    assert (status.exit_code, status.reason) == (128, "StartError") and status.message
    assert status.finished_at > 0


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [("exit 0", 0, "Completed"), ("exit 3", 3, "Error"), ("kill -9 $$; sleep 9", 137, "Error")],
)
def test_21_reasons(node: ConformanceNode, image: str, handler: str, script: str, code: int, reason: str) -> None:
    # In the pod's PID namespace the shell is not process 1, so that it can kill itself.
    config = node.container_with(image, "sh", "-c", script, security={"namespace_options": {"pid": 0}})
    status = node.wait_exit(node.run(node.run_pod(handler=handler), config))
    assert (status.exit_code, status.reason) == (code, reason)


def test_21_oom_killed(node: ConformanceNode, image: str, handler: str) -> None:
    pod = node.run_pod(handler=handler)
    limit = resources(memory_limit_in_bytes=16 * MIB)
    direct = node.run(pod, node.container_with(image, "tail", "/dev/zero", security={}, name="a", linux=limit))
    status = node.wait_exit(direct)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    # An init container that hides the loss of its child has failed all the same: the kubelet looks at the reason.
    config = node.container_with(image, "sh", "-c", "tail /dev/zero; exit 0", security={}, name="b", linux=limit)
    assert node.wait_exit(node.run(pod, config)).reason == "OOMKilled"


def test_21_reaching_the_limit_without_a_kill_is_no_oom(node: ConformanceNode, image: str) -> None:
    """Page cache up to the limit is reclaimed: `oom` may be counted, `oom_kill` is not."""
    script = "dd if=/dev/zero of=/tmp/f bs=1M count=48 2>/dev/null; exit 4"
    limit = resources(memory_limit_in_bytes=32 * MIB)
    config = node.container_with(image, "sh", "-c", script, security={}, linux=limit)
    status = node.wait_exit(node.run(node.run_pod(), config))
    assert (status.exit_code, status.reason) == (4, "Error")


def test_22_one_image_id_everywhere(node: ConformanceNode, image: str) -> None:
    pulled = node.pull(image)
    container = node.run(node.run_pod(), node.container(image, *FOREVER))
    status, (item,) = node.status(container), node.cri.call("ListContainers").containers
    found = node.cri.call("ImageStatus", image={"image": image}).image
    assert {pulled, found.id, item.image_id, status.image_id} == {busybox().id}
    assert status.image.image and item.image.image
    assert "@sha256:" in status.image_ref and status.image_ref in found.repo_digests
    assert item.image_ref == status.image_ref


def test_23_an_image_is_named_by_id_tag_or_digest(node: ConformanceNode, image: str) -> None:
    found = node.cri.call("ImageStatus", image={"image": image}).image
    pod = node.run_pod()
    names = [found.id, found.id.removeprefix("sha256:"), image, found.repo_tags[0], found.repo_digests[0]]
    for i, name in enumerate(names):
        container = node.create(pod, node.container(name, *FOREVER, name=f"c{i}"))
        assert node.status(container).image_id == found.id
    with refused("NOT_FOUND"):
        node.create(pod, node.container("example.org/not/pulled:1", name="missing"))


def test_24_status_returns_the_mounts(node: ConformanceNode, image: str, tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text("")
    mounts = [
        {"container_path": "/dev/termination-log", "host_path": str(message)},
        {"container_path": "/data", "host_path": str(tmp_path), "readonly": True, "propagation": 1},
    ]
    script = "echo last words > /dev/termination-log"
    container = node.run(node.run_pod(), node.container(image, "sh", "-c", script, mounts=mounts))
    status = node.wait_exit(container)
    shown = {m.container_path: (m.host_path, m.readonly, m.propagation) for m in status.mounts}
    assert shown["/dev/termination-log"][0] == str(message)
    assert shown["/data"] == (str(tmp_path), True, 1)
    assert message.read_text() == "last words\n"


@pytest.mark.parametrize(("policy", "groups"), [("Merge", {1000, 2000, 3000}), ("Strict", {1000, 3000})])
def test_24_status_reports_the_user(
    node: ConformanceNode, image: str, handler: str, policy: str, groups: set[int]
) -> None:
    security = {
        "run_as_user": {"value": 1000},
        "run_as_group": {"value": 1000},
        "supplemental_groups": [3000],
        "supplemental_groups_policy": policy,
    }
    config = node.container_with(image, *FOREVER, security=security)
    container = node.run(node.run_pod(handler=handler), config)
    user = node.status(container).user.linux
    assert (user.uid, user.gid, set(user.supplemental_groups)) == (1000, 1000, groups)
    assert set(map(int, node.output(container, "id", "-G").split())) == groups
    assert node.output(container, "id", "-u").strip() == "1000"


def test_25_stop_with_timeout_0_is_sigkill(node: ConformanceNode, image: str, handler: str) -> None:
    container = node.run(node.run_pod(handler=handler), node.container(image, *STUBBORN))
    until(lambda: "ready" in node.log_of(container), "the trap is not set")
    node.cri.call("StopContainer", container_id=container, timeout=0, within=10)
    assert node.status(container).exit_code == 137


_COUNTER = "trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done"


def test_25_stop_signals_once_across_retries(node: ConformanceNode, image: str) -> None:
    container = node.run(node.run_pod(), node.container(image, "sh", "-c", _COUNTER))
    until(lambda: "ready" in node.log_of(container), "the trap is not set")
    first = node.cri.start("StopContainer", container_id=container, timeout=30)
    until(lambda: "term" in node.log_of(container), "there is no signal")
    with refused("DEADLINE_EXCEEDED"):  # the kubelet gives up, and tries again
        node.cri.call("StopContainer", container_id=container, timeout=30, within=0.3)
    again = node.cri.start("StopContainer", container_id=container, timeout=1)
    again.result()
    first.result()
    assert node.log_of(container).count("term") == 1
    assert node.status(container).exit_code == 137


def test_25_a_container_that_ends_by_its_signal_is_not_killed(node: ConformanceNode, image: str) -> None:
    script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    container = node.run(node.run_pod(), node.container(image, "sh", "-c", script))
    until(lambda: "ready" in node.log_of(container), "the trap is not set")
    node.cri.call("StopContainer", container_id=container, timeout=20)
    assert node.status(container).exit_code == 7 and "bye" in node.log_of(container)


def test_26_exec_sync_with_an_exit_code_is_no_error(node: ConformanceNode, image: str, handler: str) -> None:
    container = node.run(node.run_pod(handler=handler), node.container(image, *FOREVER))
    answer = node.exec(container, "sh", "-c", "echo out; echo err >&2; exit 41")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (41, b"out\n", b"err\n")
    with ThreadPoolExecutor(4) as threads:
        codes = threads.map(lambda n: node.exec(container, "sh", "-c", f"exit {n}").exit_code, range(8))
    assert list(codes) == list(range(8))


def test_26_exec_sync_that_takes_too_long_is_killed(node: ConformanceNode, image: str, handler: str) -> None:
    container = node.run(node.run_pod(handler=handler), node.container(image, *FOREVER))
    with refused("DEADLINE_EXCEEDED"):
        node.exec(container, "sh", "-c", "trap '' TERM; sleep 777 & sleep 777", timeout=1)
    assert "777" not in node.output(container, "ps")


def test_26_exec_sync_output_is_capped(node: ConformanceNode, image: str) -> None:
    container = node.run(node.run_pod(), node.container(image, *FOREVER))
    script = "head -c 12000000 /dev/zero; head -c 12000000 /dev/zero >&2; exit 6"
    answer = node.exec(container, "sh", "-c", script, timeout=60)
    assert answer.exit_code == 6
    assert 8_000_000 < answer.ByteSize() < 16 * MIB


def test_27_no_seccomp_profile_is_unconfined(node: ConformanceNode, image: str, handler: str) -> None:
    pod = node.run_pod(handler=handler)
    for profile, mode in (
        (None, "0"),
        ({"profile_type": "Unconfined"}, "0"),
        ({"profile_type": "RuntimeDefault"}, "2"),
    ):
        security: dict[str, Any] = {"seccomp": profile} if profile else {}
        config = node.container_with(
            image, "cat", "/proc/self/status", security=security, name=f"c{mode}{bool(profile)}"
        )
        container = node.run(pod, config)
        node.wait_exit(container)
        assert f"Seccomp:\t{mode}\n" in node.log_of(container), profile


def test_27_host_paths_that_are_symlinks_are_followed(node: ConformanceNode, image: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("found\n")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "filelink").symlink_to(tmp_path / "real" / "file")
    mounts = [
        {"container_path": "/d", "host_path": str(tmp_path / "link")},
        {"container_path": "/f", "host_path": str(tmp_path / "filelink")},
    ]
    container = node.run(node.run_pod(), node.container(image, *FOREVER, mounts=mounts))
    assert node.output(container, "cat", "/d/file", "/f") == "found\nfound\n"


def test_24_user_of_the_image(node: ConformanceNode, registry: Any) -> None:
    reference = registry.push("test/user", Image(busybox_files(), Cmd=list(FOREVER), User="user"))
    node.pull(reference)
    container = node.run(node.run_pod(), node.container(reference))
    user = node.status(container).user.linux
    assert (user.uid, user.gid, set(user.supplemental_groups)) == (1000, 1000, {1000, 2000})
    assert node.output(container, "id", "-un").strip() == "user"
    node.remove_pods()
    node.cri.call("RemoveImage", image={"image": reference})
