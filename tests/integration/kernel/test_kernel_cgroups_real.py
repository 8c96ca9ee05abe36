"""cgroups of the kernel itself: use is measured, everybody is killed, OOM kills are counted, nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from cricket.errors import CricketError, Unavailable
from cricket.kernel import cgroup_files
from cricket.kernel.cgroup_files import read as read_file
from cricket.kernel.cgroup_freeze import freeze, thaw
from cricket.kernel.cgroup_hugetlb import page_sizes
from cricket.kernel.cgroup_kill import kill_all
from cricket.kernel.cgroup_moves import Moves
from cricket.kernel.cgroup_paths import UNIFIED, Layout, Mode, detect
from cricket.kernel.cgroup_read import oom_kills, processes, read
from cricket.kernel.cgroups import ensure, exists, remove
from cricket.types.node import CgroupDriver

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="needs root")]

MIB = 1 << 20


class Cgroup:
    """A cgroup of its own below /cricket-test-..., and processes in it."""

    def __init__(self, layout: Layout, path: str) -> None:
        self.layout, self.path, self.children = layout, path, []  # type: ignore[var-annotated]  # pids, filled below

    def write(self, controller: str, file: str, value: str, path: str = "") -> None:
        with open(f"{self.layout.directory(controller, path or self.path)}/{file}", "w") as f:
            f.write(value)

    def python(self, code: str, path: str = "") -> int:
        """Run Python in the cgroup; it waits for its place before it runs `code`."""
        gate_r, gate_w = os.pipe()
        os.set_inheritable(gate_r, True)
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-S", "-c", f"import os; os.read({gate_r}, 1)\n{code}"], dict(os.environ)
        )
        self.children.append(pid)
        for directory in self.layout.directories(path or self.path):
            with open(f"{directory}/cgroup.procs", "w") as f:
                f.write(str(pid))
        os.write(gate_w, b"x")
        os.close(gate_r)
        os.close(gate_w)
        return pid

    def wait(self, pid: int) -> int:
        self.children.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


def layouts() -> list[Layout]:
    """The host's layout; on a hybrid host also its unified hierarchy by itself, when it has no controllers."""
    try:
        host = detect()
    except CricketError:
        return []
    unified = host.mounts.get(UNIFIED, "")
    if host.mode is not Mode.HYBRID or read_file(f"{unified}/cgroup.controllers") != b"":
        return [host]
    return [host, Layout(Mode.V2, {UNIFIED: unified})]


ANY = pytest.mark.parametrize("cgroup", layouts(), indirect=True, ids=lambda layout: str(layout.mode))


@pytest.fixture
def cgroup(request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    """An empty cgroup in the layout that the test asks for, the host's when it asks for none."""
    layout = getattr(request, "param", None) or detect()
    group = Cgroup(layout, f"/cricket-test-{uuid.uuid4().hex[:8]}/pod/c1")
    assert ensure(layout, CgroupDriver.CGROUPFS, group.path)
    try:
        yield group
    finally:
        thaw(layout, group.path)
        kill_all(layout, group.path)
        for pid in group.children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        top = group.path.split("/")[1]
        remove(layout, f"/{top}")
        assert not exists(layout, f"/{top}")


def test_use_of_cpu_and_memory_is_measured(cgroup: Cgroup) -> None:
    limit_file = "memory.max" if cgroup.layout.mode is Mode.V2 else "memory.limit_in_bytes"
    cgroup.write("memory", limit_file, str(256 * MIB))
    cgroup.python(
        "import time\nblock = bytearray(64 << 20)\nend = time.process_time() + 0.2\n"
        "while time.process_time() < end: pass\ntime.sleep(60)"
    )

    def used() -> bool:
        now = read(cgroup.layout, cgroup.path)
        return bool(now and now.cpu and now.memory and now.cpu.usage_ns > 0.2e9 and now.memory.rss > 64 * MIB)

    until(used)
    found = read(cgroup.layout, cgroup.path, full=True, count=True, descriptors=True)
    assert found is not None
    assert found.cpu is not None
    assert found.memory is not None
    assert found.pids is not None
    assert 0.2e9 < found.cpu.usage_ns < 5e9
    assert found.cpu.user_ns is not None
    assert found.cpu.system_ns is not None
    assert abs(found.cpu.user_ns + found.cpu.system_ns - found.cpu.usage_ns) < 0.05e9
    memory = found.memory
    assert 64 * MIB < memory.working_set <= memory.usage < 128 * MIB
    assert memory.limit == 256 * MIB
    assert memory.available == 256 * MIB - memory.working_set
    assert memory.max_usage is not None
    assert memory.max_usage >= memory.usage
    assert memory.page_faults
    assert memory.oom_kills == 0
    assert (found.pids.processes, found.pids.threads, found.pids.sockets) == (1, 1, 0)
    assert found.pids.file_descriptors
    if cgroup.layout.directory("hugetlb", cgroup.path) and cgroup.layout.mode is not Mode.V2:
        assert [huge.page_size for huge in found.hugetlb] == list(page_sizes())
    pod = read(cgroup.layout, os.path.dirname(cgroup.path), count=True)
    assert pod is not None
    assert pod.cpu is not None
    assert pod.cpu.usage_ns >= found.cpu.usage_ns
    assert pod.memory is not None
    assert pod.memory.rss >= memory.rss - MIB
    assert pod.pids is not None
    assert pod.pids.processes == 1


@ANY
def test_a_tree_that_keeps_forking_is_killed(cgroup: Cgroup) -> None:
    inner = cgroup.path + "/inner"
    ensure(cgroup.layout, CgroupDriver.CGROUPFS, inner)
    # 32 processes, each of which is forever replaced by a child with another pid.
    bomb = (
        "import signal\nfor n in range(1, 32):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
        "for _ in range(5): os.fork()\n"
        "while True:\n    if os.fork(): os._exit(0)"
    )
    cgroup.python(bomb, inner)
    until(lambda: len(processes(cgroup.layout, cgroup.path)) > 20)
    started = time.monotonic()
    kill_all(cgroup.layout, cgroup.path)
    assert time.monotonic() - started < 5
    assert processes(cgroup.layout, cgroup.path) == []
    kill_all(cgroup.layout, cgroup.path)
    remove(cgroup.layout, cgroup.path)
    assert not exists(cgroup.layout, cgroup.path)


@ANY
def test_stopped_and_frozen_processes_are_killed(cgroup: Cgroup) -> None:
    stopped = cgroup.python("import time; time.sleep(60)")
    frozen = cgroup.python("import time; time.sleep(60)")
    os.kill(stopped, signal.SIGSTOP)
    assert freeze(cgroup.layout, cgroup.path) is True
    kill_all(cgroup.layout, cgroup.path)
    assert [cgroup.wait(pid) for pid in (stopped, frozen)] == [-signal.SIGKILL] * 2


@ANY
def test_frozen_processes_make_no_progress_until_thawed(cgroup: Cgroup) -> None:
    def usage() -> int:
        found = read(cgroup.layout, cgroup.path)
        assert found is not None
        assert found.cpu is not None
        return found.cpu.usage_ns

    cgroup.python("while True: pass")
    until(lambda: usage() > 0.05e9)
    assert freeze(cgroup.layout, cgroup.path) is True
    before = usage()
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        assert usage() == before
    thaw(cgroup.layout, cgroup.path)
    until(lambda: usage() > before)


def test_an_oom_kill_is_counted(cgroup: Cgroup) -> None:
    inner = cgroup.path + "/inner"
    ensure(cgroup.layout, CgroupDriver.CGROUPFS, inner)
    limit_file = "memory.max" if cgroup.layout.mode is Mode.V2 else "memory.limit_in_bytes"
    cgroup.write("memory", limit_file, str(32 * MIB))
    assert oom_kills(cgroup.layout, cgroup.path) == 0
    pid = cgroup.python("blocks = [bytearray(1 << 20) for _ in range(256)]", inner)
    assert cgroup.wait(pid) == -signal.SIGKILL
    until(lambda: oom_kills(cgroup.layout, cgroup.path) == 1)
    found = read(cgroup.layout, inner, full=True)
    assert found is not None
    assert found.memory is not None
    assert found.memory.oom_kills == 1
    remove(cgroup.layout, cgroup.path)
    assert oom_kills(cgroup.layout, cgroup.path) == 0


@ANY
def test_a_busy_cgroup_is_not_removed(cgroup: Cgroup) -> None:
    cgroup.python("import time; time.sleep(60)")
    with pytest.raises(Unavailable, match="cannot remove a cgroup"):
        remove(cgroup.layout, cgroup.path, timeout=0.05)
    assert len(processes(cgroup.layout, cgroup.path)) == 1


@pytest.mark.parametrize(("full", "most"), [(False, 10), (True, 24)])
def test_a_reading_opens_few_files(cgroup: Cgroup, monkeypatch: pytest.MonkeyPatch, full: bool, most: int) -> None:
    opened: list[str] = []

    def counting(path: str, flags: int) -> int:
        opened.append(path)
        return os.open(path, flags)

    monkeypatch.setattr(cgroup_files, "_open", counting)
    assert read(cgroup.layout, cgroup.path, full=full)
    assert 3 <= len(opened) <= most, opened


async def test_preparing_moves_leaves_us_where_we_are() -> None:
    def places() -> str:
        with open("/proc/self/cgroup") as f:
            return f.read()

    moves, before = Moves(detect()), places()
    moves.soon()
    async with asyncio.timeout(10):
        while moves._running:
            await asyncio.sleep(0.002)
    assert places() == before and moves._file
