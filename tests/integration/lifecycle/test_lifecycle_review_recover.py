"""Restarts that find what a test would rather not: a reboot, many containers, one that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness.cri import CriError
from harness.node import Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root
_LOOP = "trap 'exit 7' TERM; while :; do sleep 0.05; done"


@pytest.fixture
def own_node(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    with Node.made(tmp_path, registry=registry) as node:
        node.pull(busybox_ref)
        yield node
        node.remove_pods()
        node.assert_clean()


def _pid(node: Node, container: str) -> int:
    return int(json.loads(node.cri.call("ContainerStatus", container_id=container, verbose=True).info["info"])["pid"])


def test_exits_while_nobody_looked_are_told_with_code_and_time(own_node: Node, busybox_ref: str) -> None:
    node, pod = own_node, own_node.run_pod()
    with ThreadPoolExecutor(8) as pool:
        containers = list(
            pool.map(lambda i: node.run(pod, node.container(busybox_ref, "sh", "-c", _LOOP, name=f"c{i}")), range(24))
        )
    pids = [_pid(node, c) for c in containers]
    node.daemon.kill()
    before = time.time_ns()
    for pid in pids[:8]:
        os.kill(pid, signal.SIGTERM)
    for pid in pids[8:16]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(_is_alive(pid) for pid in pids[:16]), "they do not end")
    after = time.time_ns()
    node.daemon.start()
    for container in containers[:16]:
        status = node.wait_exit(container, 2)
        assert before - 10**8 <= status.finished_at <= after + 10**8, "when it ended, not when it was found out"
    assert [node.status(c).exit_code for c in containers[:16]] == [7] * 8 + [137] * 8
    assert {node.state_of(c) for c in containers[16:]} == {"CONTAINER_RUNNING"}
    assert node.exec(containers[20], "echo", "alive").stdout == b"alive\n"


def test_after_a_reboot_nothing_runs_and_everything_goes(own_node: Node, busybox_ref: str) -> None:
    node, config = own_node, own_node.pod()
    pod = node.run_pod(config)
    running = node.run(pod, node.container(busybox_ref, "sleep", "1000000", name="running"))
    created = node.create(pod, node.container(busybox_ref, "true", name="created"))
    starting = node.create(pod, node.container(busybox_ref, "true", name="starting"))
    _reboot(node, {starting: "starting"})
    for container in (running, created, starting):
        status = node.status(container)
        assert (node.state_of(container), status.exit_code) == ("CONTAINER_EXITED", 255)
        assert status.finished_at > status.created_at and "restarted" in status.message
    assert node.pod_status(pod).state == 1, "not ready"
    until(lambda: not node.network.reserved(), "its addresses are not given back")
    with pytest.raises(CriError) as error:
        node.start(created)
    assert error.value.code == "FAILED_PRECONDITION"
    again = node.run_pod({**config, "metadata": {**config["metadata"], "attempt": 1}})
    assert node.pod_status(again).state == 0


def test_a_monitor_that_hangs_does_not_keep_the_daemon_from_serving(own_node: Node, busybox_ref: str) -> None:
    node, pod = own_node, own_node.run_pod()
    container = node.run(pod, node.container(busybox_ref, "sh", "-c", _LOOP))
    monitor = int((node.state / "containers" / container / "conmon.pid").read_text())
    pid = _pid(node, container)
    os.kill(monitor, signal.SIGSTOP)
    node.daemon.kill()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not _is_alive(pid), "it does not end")
    began = time.monotonic()
    node.daemon.start()
    assert time.monotonic() - began < 20
    os.kill(monitor, signal.SIGCONT)
    assert node.wait_exit(container).exit_code == 7


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _reboot(node: Node, states: dict[str, str]) -> None:
    """What the next daemon finds after a reboot: no process, no mount, no cgroup, an empty /run, another boot id."""
    node.daemon.kill()
    for line in node.leaks.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split(" ", 1)[0]), signal.SIGKILL)
    until(lambda: not node.leaks.processes(), "processes survive")
    for point in reversed(node.leaks.mounts()):
        subprocess.run(["umount", "-l", point], check=False)
    until(lambda: node.leaks.remove_cgroups() or not node.leaks.left(images=True).get("cgroup"), "cgroups survive")
    shutil.rmtree(node.state)
    with contextlib.closing(sqlite3.connect(node.root / "state.db")) as db:
        rows = db.execute("SELECT id, body FROM records").fetchall()
        for key, body in rows:
            record: dict[str, Any] = json.loads(body)
            changes = {"boot_id": "another boot", "state": states.get(key, record["state"])}
            db.execute("UPDATE records SET body = ? WHERE id = ?", (json.dumps({**record, **changes}).encode(), key))
        db.commit()
    node.daemon.start()
