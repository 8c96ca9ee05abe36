"""Merging adjustments and updates: who may set what, and what comes out."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cricket.errors import FailedPrecondition
from cricket.nri.adjust import Adjustments
from cricket.nri.claims import Conflict, Field
from cricket.nri.merge_updates import Updates

CONTAINER: dict[str, Any] = {
    "id": "c",
    "annotations": {"old": "1"},
    "args": ["a"],
    "env": ["PATH=/bin", "OLD=1"],
    "mounts": [{"destination": "/old"}, {"destination": "/keep"}],
    "linux": {
        "devices": [{"path": "/dev/old"}],
        "namespaces": [{"type": "ipc"}, {"type": "uts"}],
        "sysctl": {"old": "1"},
        "net_devices": {"eth9": {"name": "x"}},
        "resources": {"cpu": {"shares": 1}, "memory": {"limit": 10}},
        "rdt": {"clos_id": "a"},
    },
}


def linux(**fields: Any) -> dict[str, Any]:
    return {"linux": fields}


def resources(**fields: Any) -> dict[str, Any]:
    return linux(resources=fields)


SAME_FIELD = [
    {"annotations": {"k": "v"}},
    {"mounts": [{"destination": "/m"}]},
    {"env": [{"key": "K", "value": "v"}]},
    {"args": ["x"]},
    {"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}]},
    {"CDI_devices": [{"name": "v/c=d"}]},
    linux(devices=[{"path": "/dev/x"}]),
    linux(namespaces=[{"type": "ipc", "path": "/x"}]),
    linux(namespaces=[{"type": "-ipc"}]),
    linux(sysctl={"a": "b"}),
    linux(net_devices={"eth0": {"name": "net0"}}),
    linux(cgroups_path="/x"),
    linux(oom_score_adj=0),
    linux(io_priority={"class": "IOPRIO_CLASS_RT"}),
    linux(seccomp_policy={"default_action": "SCMP_ACT_ALLOW"}),
    linux(scheduler={"policy": "SCHED_RR"}),
    linux(memory_policy={"mode": "MPOL_BIND", "nodes": "0"}),
    linux(rdt={"clos_id": "x"}),
    linux(rdt={"schemata": ["x"]}),
    linux(rdt={"enable_monitoring": False}),
    resources(memory={"limit": 1}),
    resources(memory={"swap": 1}),
    resources(memory={"disable_oom_killer": False}),
    resources(cpu={"shares": 2}),
    resources(cpu={"cpus": "0"}),
    resources(pids={"limit": 3}),
    resources(hugepage_limits=[{"page_size": "2MB", "limit": 1}]),
    resources(unified={"memory.high": "1"}),
    resources(blockio_class="x"),
    resources(rdt_class="x"),
]


@pytest.mark.parametrize("change", SAME_FIELD, ids=str)
def test_one_plugin_may_and_a_second_may_not(change: dict[str, Any]) -> None:
    before = copy.deepcopy(CONTAINER)
    merge = Adjustments(CONTAINER)
    merge.merge(copy.deepcopy(change), "00-a")
    assert merge.result() == change
    with pytest.raises(Conflict, match="plugins 10-b and 00-a both set"):
        merge.merge(change, "10-b")
    assert before == CONTAINER


def test_different_entries_do_not_conflict() -> None:
    merge = Adjustments(CONTAINER)
    merge.merge({"env": [{"key": "A", "value": "1"}], **resources(cpu={"shares": 2})}, "00-a")
    merge.merge({"env": [{"key": "B", "value": "2"}], **resources(cpu={"quota": 3})}, "10-b")
    assert merge.result() == {
        "env": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}],
        **resources(cpu={"shares": 2, "quota": 3}),
    }
    assert merge.container["env"] == ["PATH=/bin", "OLD=1", "A=1", "B=2"]
    assert merge.container["linux"]["resources"] == {"cpu": {"shares": 2, "quota": 3}, "memory": {"limit": 10}}


REMOVALS = [
    ({"annotations": {"-old": ""}}, "annotations", {}),
    ({"mounts": [{"destination": "-/old"}]}, "mounts", [{"destination": "/keep"}]),
    ({"env": [{"key": "-OLD"}]}, "env", ["PATH=/bin"]),
]


@pytest.mark.parametrize(("change", "field", "left"), REMOVALS, ids=str)
def test_what_the_container_has_can_be_removed(change: dict[str, Any], field: str, left: Any) -> None:
    merge = Adjustments(CONTAINER)
    merge.merge(change, "00-a")
    assert merge.result() == change
    assert merge.container.get(field, {}) == left


LINUX_REMOVALS = [
    (linux(devices=[{"path": "-/dev/old"}]), "devices", []),
    (linux(namespaces=[{"type": "-ipc"}]), "namespaces", [{"type": "uts"}]),
    (linux(sysctl={"-old": ""}), "sysctl", {}),
    (linux(net_devices={"-eth9": {}}), "net_devices", {}),
]


@pytest.mark.parametrize(("change", "field", "left"), LINUX_REMOVALS, ids=str)
def test_linux_fields_can_be_removed(change: dict[str, Any], field: str, left: Any) -> None:
    merge = Adjustments(CONTAINER)
    merge.merge(change, "00-a")
    assert merge.result() == change
    assert merge.container["linux"].get(field, type(left)()) == left


OVERRULES = [
    ({"annotations": {"k": "1"}}, {"annotations": {"-k": "", "k": "2"}}, {"annotations": {"k": "2"}}),
    (
        {"mounts": [{"destination": "/m", "source": "1"}]},
        {"mounts": [{"destination": "/m", "source": "2"}, {"destination": "-/m"}]},
        {"mounts": [{"destination": "/m", "source": "2"}]},
    ),
    (
        {"env": [{"key": "K", "value": "1"}]},
        {"env": [{"key": "-K"}, {"key": "K", "value": "2"}]},
        {"env": [{"key": "K", "value": "2"}]},
    ),
    ({"args": ["1"]}, {"args": ["", "2"]}, {"args": ["2"]}),
    (
        linux(rdt={"clos_id": "1", "schemata": ["s"]}),
        linux(rdt={"remove": True, "clos_id": "2"}),
        linux(rdt={"remove": True, "clos_id": "2"}),
    ),
]


@pytest.mark.parametrize(("first", "second", "result"), OVERRULES, ids=str)
def test_remove_and_set_takes_over(first: dict[str, Any], second: dict[str, Any], result: dict[str, Any]) -> None:
    merge = Adjustments(CONTAINER)
    merge.merge(first, "00-a")
    merge.merge(second, "10-b")
    assert merge.result() == result


def test_after_a_take_over_a_third_plugin_still_conflicts() -> None:
    merge = Adjustments(CONTAINER)
    merge.merge({"env": [{"key": "K", "value": "1"}]}, "00-a")
    merge.merge({"env": [{"key": "-K"}]}, "10-b")
    assert merge.result() == {"env": [{"key": "-K"}]}
    with pytest.raises(Conflict):
        merge.merge({"env": [{"key": "K", "value": "3"}]}, "20-c")


def test_hooks_accumulate_and_their_owners_too() -> None:
    merge = Adjustments(CONTAINER)
    merge.merge({"hooks": {"prestart": [{"path": "/1"}]}}, "00-a")
    merge.merge({"hooks": {"prestart": [{"path": "/2"}], "poststop": [{"path": "/3"}]}}, "10-b")
    assert merge.result() == {"hooks": {"prestart": [{"path": "/1"}, {"path": "/2"}], "poststop": [{"path": "/3"}]}}
    assert merge.claims.owner(Field.OciHooks) == "00-a,10-b"


def test_device_rules_accumulate() -> None:
    merge = Adjustments(CONTAINER)
    for plugin in ("00-a", "10-b"):
        merge.merge(resources(devices=[{"allow": True, "type": "c"}]), plugin)
    assert len(merge.result()["linux"]["resources"]["devices"]) == 2


def test_no_change_gives_an_empty_adjustment() -> None:
    merge = Adjustments(CONTAINER)
    merge.merge({}, "00-a")
    merge.merge({"linux": {"resources": {}}, "hooks": {}}, "10-b")
    assert merge.result() == {}
    assert merge.container == CONTAINER


def update(target: str, *, ignore: bool = False, **fields: Any) -> dict[str, Any]:
    return {"container_id": target, "ignore_failure": ignore, "linux": {"resources": fields}}


def test_updates_of_the_container_being_created_are_refused() -> None:
    with pytest.raises(FailedPrecondition, match="being created"):
        Updates(creating="c").merge([update("c")], "00-a")


def test_updates_of_others_are_merged_by_container() -> None:
    updates = Updates(creating="c")
    updates.merge([update("x", cpu={"shares": 1}), update("y", cpu={"shares": 2}, ignore=True)], "00-a")
    updates.merge([update("x", memory={"limit": 3}, ignore=True)], "10-b")
    assert updates.of_others() == [
        update("x", cpu={"shares": 1}, memory={"limit": 3}),
        update("y", cpu={"shares": 2}, ignore=True),
    ]


def test_a_conflict_of_updates_fails_unless_it_may_be_ignored_and_then_all_of_it() -> None:
    updates = Updates()
    updates.merge([update("x", cpu={"shares": 1})], "00-a")
    with pytest.raises(Conflict):
        updates.merge([update("x", cpu={"shares": 2})], "10-b")
    updates.merge([update("x", cpu={"quota": 5, "shares": 2}, ignore=True)], "10-b")
    assert updates.of_others() == [update("x", cpu={"shares": 1})]
    updates.merge([update("x", cpu={"quota": 6})], "20-c")
    assert updates.of_others() == [update("x", cpu={"shares": 1, "quota": 6})]


def test_the_updated_container_is_seen_changed_by_the_next_plugin() -> None:
    updates = Updates(updating="c", requested={"cpu": {"shares": 1}})
    updates.merge([update("c", cpu={"quota": 2}), update("x", cpu={"shares": 9})], "00-a")
    assert updates.requested == {"cpu": {"shares": 1, "quota": 2}}
    assert updates.own_change() == {"cpu": {"quota": 2}}
    assert [each["container_id"] for each in updates.of_others()] == ["x"]
