"""The disk of the root directory is full: containers end, pods and images go, and that makes room again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.node import Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root


@pytest.fixture
def small(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    """A node with 48 MiB."""
    root = tmp_path / "node" / "root"
    root.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", root], check=True)
    try:
        with Node.made(tmp_path / "node", registry=registry) as node:
            node.pull(busybox_ref)
            yield node
    finally:
        subprocess.run(["umount", "-l", root], check=False)


def _fill(node: Node) -> None:
    for size in (1 << 20, 4096, 1):
        with contextlib.suppress(OSError), open(node.root / "filler", "ab", buffering=0) as filler:
            while filler.write(b"x" * size) == size:
                pass


def _grow(node: Node, container: str) -> None:
    """Make the next records larger than what the database has room for."""
    for shares in range(2, 200):
        with contextlib.suppress(CriError):
            node.cri.call("UpdateContainerResources", container_id=container, linux={"cpu_shares": shares})


def test_what_runs_can_end_and_be_removed(small: Node, busybox_ref: str) -> None:
    node, pod = small, small.run_pod()
    script = "trap 'exit 4' TERM; while :; do sleep 0.05; done"
    dies, stopped, removed = (
        node.run(pod, node.container(busybox_ref, "sh", "-c", script, name=name)) for name in ("a", "b", "c")
    )
    created = node.create(pod, node.container(busybox_ref, "true", name="created"))
    _fill(node)
    _grow(node, created)
    with pytest.raises(CriError) as error:
        node.start(created)
    assert error.value.code == "RESOURCE_EXHAUSTED"
    with pytest.raises(CriError) as error:
        node.run_pod()
    assert error.value.code == "RESOURCE_EXHAUSTED"
    os.kill(_pid(node, dies), signal.SIGKILL)
    assert node.wait_exit(dies).exit_code == 137
    node.cri.call("StopContainer", container_id=stopped, timeout=10)
    assert node.status(stopped).exit_code == 4
    node.cri.call("RemoveContainer", container_id=removed)
    node.cri.call("StopPodSandbox", pod_sandbox_id=pod)
    node.cri.call("RemovePodSandbox", pod_sandbox_id=pod)
    assert not node.cri.call("ListContainers").containers
    assert not node.cri.call("ListPodSandbox").items
    (node.root / "filler").unlink()
    until(lambda: "on the disk again" in node.daemon.log(), "what waits is not written", 15)
    node.assert_clean()


def test_images_go_and_make_room(small: Node, busybox_ref: str) -> None:
    _fill(small)
    small.cri.call("RemoveImage", image={"image": busybox_ref})
    assert not small.cri.call("ListImages").images
    assert os.statvfs(small.root).f_bavail * 4096 > 1 << 20
    (small.root / "filler").unlink()
    small.pull(busybox_ref)


@pytest.mark.parametrize("kill", [False, True])
def test_a_daemon_starts_on_a_full_disk(small: Node, busybox_ref: str, kill: bool) -> None:
    pod = small.run_pod()
    container = small.run(pod, small.container(busybox_ref, "sleep", "1000000"))
    _fill(small)
    small.restart(kill=kill)
    _fill(small)
    assert small.exec(container, "echo", "alive").stdout == b"alive\n"
    small.restart(kill=kill)
    small.remove_pods()
    small.remove_images()
    small.assert_clean(images=True, timeout=15)


def _pid(node: Node, container: str) -> int:
    import json

    return int(json.loads(node.cri.call("ContainerStatus", container_id=container, verbose=True).info["info"])["pid"])


def test_a_warm_sandbox_that_cannot_be_recorded_waits_on(small: Node) -> None:
    node = small
    node.daemon.write_config(network={"warm_sandboxes": 1})
    node.restart()
    until(lambda: len(node.leaks.warm()) == 1, "the pool is not filled")
    waiting = node.leaks.warm()[0].id
    _fill(node)
    big = node.pod(annotations={"big": "x" * 400_000})  # more than the database has room for
    with pytest.raises(CriError) as error:
        node.run_pod(big)
    assert error.value.code == "RESOURCE_EXHAUSTED"
    assert [one.id for one in node.leaks.warm()] == [waiting]
    (node.root / "filler").unlink()
    assert node.run_pod(big) == waiting
    node.remove_pods()
    node.assert_clean()
