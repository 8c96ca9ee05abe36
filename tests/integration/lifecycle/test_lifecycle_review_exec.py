"""Commands that misbehave: floods of output, children that stay, no descriptors left."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.node import Node, until

pytestmark = pytest.mark.root


@pytest.fixture(params=["crun", "runc"])
def container(request: pytest.FixtureRequest, pods: Node, busybox_ref: str) -> str:
    return pods.run(pods.run_pod(handler=request.param), pods.container(busybox_ref, "sleep", "1000000"))


def _exec(node: Node, container: str, script: str, timeout: int = 0) -> bytes:
    answer = node.cri.call("ExecSync", container_id=container, cmd=["sh", "-c", script], timeout=timeout)
    return bytes(answer.stdout)


@pytest.mark.parametrize("script", ["yes", "yes & yes >&2 & wait"])
def test_a_flood_ends_in_time_and_stalls_nobody(pods: Node, container: str, script: str) -> None:
    began = time.monotonic()
    running = pods.cri.start("ExecSync", container_id=container, cmd=["sh", "-c", script], timeout=1)
    worst = 0.0
    while not running.done():
        asked = time.monotonic()
        pods.cri.call("Version")
        worst = max(worst, time.monotonic() - asked)
    assert "DEADLINE_EXCEEDED" in str(running.exception())
    assert time.monotonic() - began < 4, "the runtime was waited for"
    assert worst < 1

    def living() -> list[bytes]:
        # The container's first process, a sleep, reaps nobody.
        lines = _exec(pods, container, "ps -o stat,comm").splitlines()
        return [line for line in lines if line.endswith(b"yes") and not line.startswith(b"Z")]

    until(lambda: not living(), "the command lives on")


def test_a_grandchild_that_writes_for_ever_does_not_keep_the_call(pods: Node, busybox_ref: str) -> None:
    container = pods.run(pods.run_pod(handler="crun"), pods.container(busybox_ref, "sleep", "1000000"))
    began = time.monotonic()
    assert _exec(pods, container, "yes & echo started").startswith(b"")
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def _files_left(node: Node, count: int) -> Iterator[None]:
    """The daemon can open `count` more files."""
    pid = node.daemon.pid
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    limit = next(n for n in itertools.count() if n - sum(fd < n for fd in used) > count) - 1
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, old[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)


def test_without_descriptors_commands_are_refused_and_nothing_stays(pods: Node, container: str) -> None:
    with _files_left(pods, 8):
        calls = [pods.cri.start("ExecSync", container_id=container, cmd=["sleep", "0.3"]) for _ in range(20)]
        codes = {call.code().name for call in calls}
    assert "RESOURCE_EXHAUSTED" in codes and codes <= {"OK", "RESOURCE_EXHAUSTED"}, codes
    assert not [line for line in pods.leaks.processes() if "defunct" in line]
    with open(f"/proc/{pods.daemon.pid}/task/{pods.daemon.pid}/children") as f:
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in f.read().split()]
    # The worker that waits for the next pull may.
    assert not [command for command in commands if "images.worker" not in command], "children of the daemon are left"


def test_descriptors_are_given_back_after_a_shortage(pods: Node, container: str) -> None:
    _exec(pods, container, "true")
    before = len(os.listdir(f"/proc/{pods.daemon.pid}/fd"))
    for count in range(1, 5):
        with _files_left(pods, count), pytest.raises(CriError) as error:
            _exec(pods, container, "true")
        assert error.value.code == "RESOURCE_EXHAUSTED", error.value
    # Fewer, when the worker that waits for the next pull has gone meanwhile.
    assert len(os.listdir(f"/proc/{pods.daemon.pid}/fd")) <= before
    assert _exec(pods, container, "echo again") == b"again\n"
    bundle = pods.state / "containers" / container
    assert not [name for name in os.listdir(bundle) if name.startswith("exec-")]
