"""Reading usage from trees that look like v1 and v2 hierarchies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.kernel import cgroup_v1, cgroup_v2
from cricket.kernel.cgroup_paths import Layout, Mode
from cricket.kernel.cgroup_read import oom_kills, processes, read
from cricket.types.stats import BlkDevice, Cpu, Io, Memory, Pids, Psi, PsiLine

POD = "/kubepods/pod1"
C = POD + "/c1"
PRESSURE = "some avg10=1.50 avg60=0.25 avg300=0.00 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99\n"
PSI = Psi(PsiLine(12345, 1.5, 0.25, 0.0), PsiLine(99, 0.0, 0.0, 0.0))
V1_FILES = {
    "cpuacct/cpuacct.usage": "5000000000\n",
    "cpuacct/cpuacct.stat": "user 300\nsystem 200\n",
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 777\nnr_bursts 0\nburst_time 0\n",
    "memory/memory.usage_in_bytes": "1000000\n",
    "memory/memory.stat": "cache 1\nrss 2\nhierarchical_memory_limit 2000000\nhierarchical_memsw_limit 3000000\n"
    "total_cache 500000\ntotal_rss 400000\ntotal_mapped_file 70\ntotal_swap 250000\ntotal_pgfault 11\n"
    "total_pgmajfault 3\ntotal_inactive_file 300000\n",
    "memory/memory.max_usage_in_bytes": "1500000\n",
    "memory/memory.failcnt": "8\n",
    "memory/memory.kmem.usage_in_bytes": "4096\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Sync 1\n8:0 Total 30\n"
    "254:0 Write 5\nTotal 35\n",
    "blkio/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    "pids/pids.current": "5\n",
    "pids/pids.max": "max\n",
    "pids/cgroup.procs": "12\n11\n12\n0\n",
    "freezer/cgroup.procs": "11\n12\n",
}
V2_FILES = {
    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 10\nnr_throttled 4\n"
    "throttled_usec 777\n",
    "cpu.pressure": PRESSURE,
    "memory.current": "1000000\n",
    "memory.stat": "anon 400000\nfile 500000\nkernel 4096\nfile_mapped 70\ninactive_file 300000\npgfault 11\n"
    "pgmajfault 3\n",
    "memory.max": "2000000\n",
    "memory.peak": "1500000\n",
    "memory.swap.current": "250000\n",
    "memory.swap.max": "1000000\n",
    "memory.events": "low 0\nhigh 0\nmax 8\noom 1\noom_kill 2\noom_group_kill 0\n",
    "memory.pressure": PRESSURE,
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:0 \n",
    "io.pressure": PRESSURE,
    "pids.current": "5\n",
    "pids.max": "100\n",
    "cgroup.procs": "11\n12\n0\n",
}


@pytest.fixture(autouse=True)
def physical_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cgroup_v1, cgroup_v2):
        monkeypatch.setattr(module, "memory_total", lambda: 1 << 30)


def v1(root: Path, files: dict[str, str] = V1_FILES, path: str = C) -> Layout:
    controllers = ("cpu", "cpuacct", "memory", "blkio", "pids", "freezer")
    for controller in controllers:
        (root / controller / path[1:]).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        controller, file = name.split("/")
        (root / controller / path[1:] / file).write_text(text)
    return Layout(Mode.V1, {controller: str(root / controller) for controller in controllers})


def v2(root: Path, files: dict[str, str] = V2_FILES, path: str = C) -> Layout:
    (root / path[1:]).mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (root / path[1:] / file).write_text(text)
    return Layout(Mode.V2, {"": str(root)})


def test_v1_full(tmp_path: Path) -> None:
    found = read(v1(tmp_path), C, full=True, count=True, clock=lambda: 7)
    assert found is not None
    assert found.cpu == Cpu(
        7,
        5_000_000_000,
        user_ns=3_000_000_000,
        system_ns=2_000_000_000,
        periods=10,
        throttled_periods=4,
        throttled_ns=777,
    )
    assert found.memory == Memory(
        7,
        1_000_000,
        700_000,
        400_000,
        available=1_300_000,
        page_faults=11,
        major_page_faults=3,
        cache=500_000,
        mapped_file=70,
        limit=2_000_000,
        swap_usage=250_000,
        swap_available=750_000,
        max_usage=1_500_000,
        failcnt=8,
        kernel=4096,
        oom_kills=2,
    )
    assert found.io == Io(7, (BlkDevice("8:0", 10, 20, 1, 2), BlkDevice("254:0", 0, 5, 0, 0)))
    assert found.pids == Pids(7, 2, threads=5, max_threads=None)


def test_v2_full(tmp_path: Path) -> None:
    found = read(v2(tmp_path), C, full=True, count=True, clock=lambda: 7)
    assert found is not None
    assert found.cpu == Cpu(
        7,
        5_000_000_000,
        user_ns=3_000_000_000,
        system_ns=2_000_000_000,
        periods=10,
        throttled_periods=4,
        throttled_ns=777_000,
        psi=PSI,
    )
    assert found.memory == Memory(
        7,
        1_000_000,
        700_000,
        400_000,
        available=1_300_000,
        page_faults=11,
        major_page_faults=3,
        cache=500_000,
        mapped_file=70,
        limit=2_000_000,
        swap_usage=250_000,
        swap_available=750_000,
        max_usage=1_500_000,
        failcnt=8,
        kernel=4096,
        oom_kills=2,
        psi=PSI,
    )
    assert found.io == Io(7, (BlkDevice("8:0", 10, 20, 1, 2), BlkDevice("254:0", 0, 0, 0, 0)), PSI)
    assert found.pids == Pids(7, 2, threads=5, max_threads=100)


@pytest.mark.parametrize("make", [v1, v2])
def test_without_full_there_is_what_stats_need(make: type, tmp_path: Path) -> None:
    found = read(make(tmp_path), C)
    assert found is not None
    assert found.cpu is not None
    assert found.memory is not None
    assert found.memory.available == 1_300_000
    assert (found.memory.max_usage, found.memory.oom_kills, found.pids) == (None, None, None)


@pytest.mark.parametrize("make", [v1, v2])
def test_a_cgroup_that_is_gone_is_none(make: type, tmp_path: Path) -> None:
    layout = make(tmp_path)
    assert read(layout, "/gone", full=True, count=True) is None
    assert processes(layout, "/gone") == []
    assert oom_kills(layout, "/gone") == 0


@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize("missing", sorted({*V1_FILES, *V2_FILES}))
def test_any_file_may_be_missing(make: type, missing: str, tmp_path: Path) -> None:
    files = {name: text for name, text in (V1_FILES if make is v1 else V2_FILES).items() if name != missing}
    assert read(make(tmp_path, files), C, full=True, count=True) is not None


@pytest.mark.parametrize("make", [v1, v2])
def test_without_a_limit_nothing_is_available_or_limited(make: type, tmp_path: Path) -> None:
    files = dict(V1_FILES if make is v1 else V2_FILES)
    files["memory.max"] = "max\n"
    files["memory.swap.max"] = "max\n"
    if make is v1:
        files = {name: text for name, text in files.items() if "/" in name}
        files["memory/memory.stat"] = (
            "hierarchical_memory_limit 9223372036854771712\nhierarchical_memsw_limit 9223372036854771712\n"
            "total_swap 1\ntotal_inactive_file 2000000\n"
        )
    found = read(make(tmp_path, files), C)
    assert found is not None
    assert found.memory is not None
    assert (found.memory.limit, found.memory.available, found.memory.swap_available) == (None, None, None)
    assert found.memory.swap_usage is not None
    assert found.memory.working_set >= 0


def test_a_limit_of_more_than_the_machine_has_is_none(tmp_path: Path) -> None:
    found = read(v2(tmp_path, {**V2_FILES, "memory.max": str(1 << 30)}), C)
    assert found is not None
    assert found.memory is not None
    assert found.memory.limit is None


def test_a_working_set_is_never_negative(tmp_path: Path) -> None:
    found = read(v2(tmp_path, {**V2_FILES, "memory.stat": "inactive_file 2000000\n"}), C)
    assert found is not None
    assert found.memory is not None
    assert found.memory.working_set == 0


def test_v2_without_a_memory_controller_still_has_cpu(tmp_path: Path) -> None:
    found = read(v2(tmp_path, {"cpu.stat": "usage_usec 3\n"}), C, full=True)
    assert found is not None
    assert found.memory is None
    assert found.io is None
    assert found.cpu == Cpu(found.cpu.timestamp if found.cpu else 0, 3000)


def test_v1_falls_back_to_counters_that_are_not_recursive(tmp_path: Path) -> None:
    files = {name.removesuffix("_recursive"): text for name, text in V1_FILES.items()}
    found = read(v1(tmp_path, files), C, full=True)
    assert found is not None
    assert found.io is not None
    assert found.io.devices[0] == BlkDevice("8:0", 10, 20, 1, 2)


@pytest.mark.parametrize("make", [v1, v2])
def test_processes_of_nested_cgroups_count(make: type, tmp_path: Path) -> None:
    layout = make(tmp_path)
    make(tmp_path, {}, C + "/init/deep")
    inner = layout.directory("freezer", C + "/init/deep")
    (Path(inner) / "cgroup.procs").write_text("99\n")
    (Path(inner).parent / "cgroup.procs").write_text("")
    if make is v1:
        (Path(layout.directory("pids", C + "/init/deep") or "") / "cgroup.procs").write_text("99\n")
    assert processes(layout, C) == [11, 12, 99]
    found = read(layout, C, count=True)
    assert found is not None
    assert found.pids is not None
    assert found.pids.processes == 3


def test_oom_kills_of_nested_v1_cgroups_are_added(tmp_path: Path) -> None:
    layout = v1(tmp_path)
    v1(tmp_path, {"memory/memory.oom_control": "oom_kill 5\n"}, C + "/inner")
    assert oom_kills(layout, C) == 7


def test_oom_kills_of_v2_are_hierarchical_already(tmp_path: Path) -> None:
    layout = v2(tmp_path)
    v2(tmp_path, {"memory.events": "oom_kill 1\n"}, C + "/inner")
    assert oom_kills(layout, C) == 2


@pytest.mark.parametrize("make", [v1, v2])
def test_of_a_scope_that_crun_has_divided_the_inner_part_counts(make: type, tmp_path: Path) -> None:
    scope = "/kubepods.slice/cri-cricket-c1.scope"
    make(tmp_path, {}, scope)
    layout = make(tmp_path, path=f"{scope}/container")
    found = read(layout, scope, full=True)
    assert found is not None and found.memory is not None and found.memory.limit == 2_000_000
    # A container may make cgroups of any name in its own one, which is no scope.
    make(tmp_path)
    make(tmp_path, {}, f"{C}/container")
    assert (found := read(layout, C)) is not None and found.memory is not None
