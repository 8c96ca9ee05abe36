"""Adjustments applied to an OCI spec."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cricket.errors import Unimplemented
from cricket.nri.apply import apply

SPEC: dict[str, Any] = {
    "process": {
        "args": ["a"],
        "env": ["PATH=/bin", "OLD=1", "EMPTY"],
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}],
    },
    "annotations": {"old": "1"},
    "hooks": {"poststop": [{"path": "/old"}]},
    "mounts": [{"destination": "/"}, {"destination": "/proc", "type": "proc"}, {"destination": "/a/b"}],
    "linux": {
        "namespaces": [{"type": "ipc", "path": "/x"}, {"type": "mount"}],
        "devices": [{"path": "/dev/old", "type": "c", "major": 1, "minor": 2}],
        "sysctl": {"old": "1"},
        "intelRdt": {"closID": "a", "schemata": ["s"]},
        "resources": {"memory": {"limit": 10, "swap": 10}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}]},
    },
}


def changed(adjustment: dict[str, Any], path: str) -> Any:
    before = copy.deepcopy(SPEC)
    value: Any = apply(SPEC, adjustment)
    assert before == SPEC
    for part in path.split("."):
        value = value.get(part) if value is not None else None
    return value


CASES: list[tuple[dict[str, Any], str, Any]] = [
    ({"annotations": {"-old": "", "new": "2"}}, "annotations", {"new": "2"}),
    ({"args": ["x", "y"]}, "process.args", ["x", "y"]),
    (
        {"env": [{"key": "OLD", "value": "2"}, {"key": "NEW", "value": "3"}, {"key": "-PATH"}, {"key": "-NOT"}]},
        "process.env",
        ["OLD=2", "EMPTY", "NEW=3"],
    ),
    ({"env": [{"key": "BLANK"}]}, "process.env", ["PATH=/bin", "OLD=1", "EMPTY", "BLANK="]),
    (
        {"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 9}, {"type": "RLIMIT_CORE", "hard": 2, "soft": 1}]},
        "process.rlimits",
        [{"type": "RLIMIT_NOFILE", "hard": 9, "soft": 0}, {"type": "RLIMIT_CORE", "hard": 2, "soft": 1}],
    ),
    (
        {"hooks": {"create_runtime": [{"path": "/h", "args": ["h"], "timeout": 3}], "poststop": [{"path": "/n"}]}},
        "hooks",
        {
            "poststop": [{"path": "/old"}, {"path": "/n"}],
            "createRuntime": [{"path": "/h", "args": ["h"], "timeout": 3}],
        },
    ),
    (
        {
            "mounts": [
                {"destination": "-/proc"},
                {"destination": "/a", "type": "bind", "source": "/s", "options": ["bind", "relabel"]},
            ]
        },
        "mounts",
        [
            {"destination": "/"},
            {"destination": "/a", "type": "bind", "source": "/s", "options": ["bind"]},
            {"destination": "/a/b"},
        ],
    ),
    ({"mounts": [{"destination": "/m", "options": ["rshared"]}]}, "linux.rootfsPropagation", "rshared"),
    ({"mounts": [{"destination": "/m", "options": ["rprivate"]}]}, "linux.rootfsPropagation", None),
    (
        {"linux": {"devices": [{"path": "/dev/new", "type": "b", "major": 8, "file_mode": 0o660, "gid": 6}]}},
        "linux.devices",
        [
            {"path": "/dev/old", "type": "c", "major": 1, "minor": 2},
            {"path": "/dev/new", "type": "b", "major": 8, "minor": 0, "fileMode": 0o660, "gid": 6},
        ],
    ),
    (
        {"linux": {"devices": [{"path": "/dev/new", "type": "b", "major": 8}]}},
        "linux.resources.devices",
        [{"allow": True, "type": "b", "major": 8, "minor": 0, "access": "rwm"}],
    ),
    ({"linux": {"devices": [{"path": "-/dev/old"}]}}, "linux.devices", []),
    ({"linux": {"cgroups_path": "/x"}}, "linux.cgroupsPath", "/x"),
    ({"linux": {"oom_score_adj": 0}}, "process.oomScoreAdj", 0),
    (
        {"linux": {"io_priority": {"class": "IOPRIO_CLASS_BE", "priority": 4}}},
        "process.ioPriority",
        {"class": "IOPRIO_CLASS_BE", "priority": 4},
    ),
    ({"linux": {"io_priority": {}}}, "process.ioPriority", None),
    (
        {"linux": {"scheduler": {"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RECLAIM"]}}},
        "process.scheduler",
        {"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RECLAIM"]},
    ),
    (
        {
            "linux": {
                "seccomp_policy": {
                    "default_action": "SCMP_ACT_ERRNO",
                    "default_errno": 38,
                    "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "op": "EQ"}]}],
                }
            }
        },
        "linux.seccomp",
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {
                    "names": ["read"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 1, "value": 0, "valueTwo": 0, "op": "EQ"}],
                }
            ],
        },
    ),
    (
        {"linux": {"namespaces": [{"type": "-ipc"}, {"type": "cgroup"}]}},
        "linux.namespaces",
        [{"type": "mount"}, {"type": "cgroup"}],
    ),
    ({"linux": {"sysctl": {"-old": "", "new": "2"}}}, "linux.sysctl", {"new": "2"}),
    ({"linux": {"net_devices": {"eth0": {"name": "n"}}}}, "linux.netDevices", {"eth0": {"name": "n"}}),
    (
        {"linux": {"memory_policy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]}}},
        "linux.memoryPolicy",
        {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
    ),
    ({"linux": {"rdt": {"remove": True}}}, "linux.intelRdt", None),
    (
        {"linux": {"rdt": {"remove": True, "clos_id": "b", "enable_monitoring": True}}},
        "linux.intelRdt",
        {"closID": "b", "enableMonitoring": True},
    ),
    ({"linux": {"rdt": {"clos_id": "b"}}}, "linux.intelRdt", {"closID": "b", "schemata": ["s"]}),
    ({"linux": {"resources": {"rdt_class": "gold"}}}, "linux.intelRdt", {"closID": "gold"}),
    ({"linux": {"resources": {"rdt_class": ""}}}, "linux.intelRdt", None),
    ({"linux": {"resources": {"memory": {"limit": 20}}}}, "linux.resources.memory", {"limit": 20, "swap": 20}),
    (
        {"linux": {"resources": {"memory": {"limit": 20, "swap": 30, "disable_oom_killer": True}}}},
        "linux.resources.memory",
        {"limit": 20, "swap": 30, "disableOOMKiller": True},
    ),
    (
        {"linux": {"resources": {"cpu": {"shares": 2, "realtime_period": 4, "mems": "0"}}}},
        "linux.resources.cpu",
        {"shares": 2, "realtimePeriod": 4, "mems": "0"},
    ),
    ({"linux": {"resources": {"pids": {"limit": 7}}}}, "linux.resources.pids", {"limit": 7}),
    ({"linux": {"resources": {"pids": {"limit": -5}}}}, "linux.resources.pids", {"limit": -1}),
    (
        {"linux": {"resources": {"hugepage_limits": [{"page_size": "2MB", "limit": 4}, {"page_size": "1GB"}]}}},
        "linux.resources.hugepageLimits",
        [{"pageSize": "2MB", "limit": 4}, {"pageSize": "1GB", "limit": 0}],
    ),
    ({"linux": {"resources": {"unified": {"a": "b"}}}}, "linux.resources.unified", {"a": "b"}),
    (
        {"linux": {"resources": {"devices": [{"type": "c", "major": 1, "access": "r"}]}}},
        "linux.resources.devices",
        [{"allow": False, "type": "c", "major": 1, "access": "r"}],
    ),
    ({"linux": {"resources": {"blockio_class": ""}}}, "linux.resources.blockIO", None),
]


@pytest.mark.parametrize(("adjustment", "path", "expected"), CASES, ids=str)
def test_each_field(adjustment: dict[str, Any], path: str, expected: Any) -> None:
    assert changed(adjustment, path) == expected


def test_nothing_to_do_returns_the_same_spec() -> None:
    assert apply(SPEC, {}) is SPEC


def test_a_spec_without_anything_can_be_adjusted() -> None:
    for adjustment, _, _ in CASES:
        apply({}, adjustment)


def test_what_cannot_be_done_is_refused_by_name() -> None:
    with pytest.raises(Unimplemented, match="gold"):
        apply(SPEC, {"linux": {"resources": {"blockio_class": "gold"}}})
    with pytest.raises(Unimplemented, match=r"v\.com/c=d"):
        apply(SPEC, {"CDI_devices": [{"name": "v.com/c=d"}]})


def test_cdi_devices_come_before_what_plugins_set_themselves() -> None:
    def inject(spec: dict[str, Any], names: Any) -> None:
        spec["process"]["env"].append("FROM_CDI=" + ",".join(names))

    spec = apply(SPEC, {"CDI_devices": [{"name": "a"}, {"name": "b"}], "env": [{"key": "X", "value": "1"}]}, inject)
    assert spec["process"]["env"][-2:] == ["X=1", "FROM_CDI=a,b"]
    assert "FROM_CDI=a,b" not in SPEC["process"]["env"]
