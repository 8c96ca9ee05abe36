"""Starts and exits that go wrong: monitors killed, runtimes that hang, nothing left to open."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.node import Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root


def _monitor(node: Node, container: str) -> int:
    return int((node.state / "containers" / container / "conmon.pid").read_text())


def test_a_killed_monitor_costs_the_exit_code_and_nothing_else(pods: Node, busybox_ref: str) -> None:
    container = pods.run(pods.run_pod(), pods.container(busybox_ref, "sleep", "1000000"))
    os.kill(_monitor(pods, container), signal.SIGKILL)
    assert pods.state_of(container) == "CONTAINER_RUNNING"
    assert pods.exec(container, "echo", "alive").stdout == b"alive\n"
    began = time.monotonic()
    pods.cri.call("StopContainer", container_id=container)
    assert time.monotonic() - began < 2, "nobody can tell the code any more"
    status = pods.status(container)
    assert status.exit_code == 255 and "monitor" in status.message


def test_a_monitor_that_is_slow_to_write_the_exit_code_is_waited_for(pods: Node, busybox_ref: str) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    container = pods.run(pods.run_pod(), pods.container(busybox_ref, "sh", "-c", script))
    until(lambda: "ready" in pods.log_of(container), "the shell did not set its trap")
    monitor = _monitor(pods, container)
    os.kill(monitor, signal.SIGSTOP)
    go_on = threading.Timer(6.0, os.kill, (monitor, signal.SIGCONT))
    go_on.start()
    try:
        pods.cri.call("StopContainer", container_id=container, timeout=30)
    finally:
        go_on.join()
    assert (pods.status(container).exit_code, pods.status(container).reason) == (7, "Error")


@pytest.fixture
def slow(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[tuple[Node, Callable[[str, bool], None]]]:
    """A node whose handler `slow` hangs in the verbs for which a file is there."""
    runtime = tmp_path / "runtime"
    runtime.write_text(
        '#!/bin/sh\nfor word in "$@"; do\n  while [ -e "' + str(tmp_path) + '/hang-$word" ]; do sleep 0.02; done\n'
        'done\nexec crun "$@"\n'
    )
    runtime.chmod(0o755)

    def hang(verb: str, now: bool) -> None:
        flag = tmp_path / f"hang-{verb}"
        flag.touch() if now else flag.unlink()

    with Node.made(tmp_path / "node", registry=registry, handlers={"slow": {"path": str(runtime)}}) as node:
        node.pull(busybox_ref)
        yield node, hang
        node.remove_pods()
        node.assert_clean()


def test_a_stop_waits_for_a_start_under_way(slow: tuple[Node, Callable[[str, bool], None]], busybox_ref: str) -> None:
    node, hang = slow
    container = node.create(node.run_pod(handler="slow"), node.container(busybox_ref, "sleep", "1000000"))
    hang("create", True)
    starting = node.cri.start("StartContainer", container_id=container)
    until(lambda: _stages(node, container), "the start is nowhere to be seen")
    assert "runtime create" in _stages(node, container)
    stopping = node.cri.start("StopContainer", container_id=container)
    hang("create", False)
    starting.result()
    stopping.result()
    assert node.state_of(container) == "CONTAINER_EXITED"


def test_a_clean_up_that_hangs_is_told(slow: tuple[Node, Callable[[str, bool], None]], busybox_ref: str) -> None:
    node, hang = slow
    container = node.run(node.run_pod(handler="slow"), node.container(busybox_ref, "sleep", "0.2"))
    hang("delete", True)
    assert node.wait_exit(container).exit_code == 0, "the exit is told before the clean-up"
    until(lambda: "runtime delete" in _stages(node, container), "the clean-up is nowhere to be seen")
    hang("delete", False)


def _stages(node: Node, container: str) -> str:
    """What `cricket why` tells."""
    import subprocess
    import sys

    command = "import sys; from cricket.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", command, "-r", f"unix://{node.socket}", "why", container]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_a_start_without_descriptors_leaves_an_exited_container(pods: Node, busybox_ref: str) -> None:
    from resource import RLIMIT_NOFILE, prlimit

    container = pods.create(pods.run_pod(), pods.container(busybox_ref, "sleep", "1000000"))
    old = prlimit(pods.daemon.pid, RLIMIT_NOFILE)
    prlimit(pods.daemon.pid, RLIMIT_NOFILE, (8, old[1]))
    try:
        with pytest.raises(CriError):
            pods.start(container)
    finally:
        prlimit(pods.daemon.pid, RLIMIT_NOFILE, old)
    status = pods.status(container)
    assert (pods.state_of(container), status.exit_code, status.reason) == ("CONTAINER_EXITED", 128, "StartError")
