"""Messages as plain values, records as messages, resources back, what plugins know, and the validator's rules."""

from __future__ import annotations

from typing import Any

import pytest

from cricket._proto.nri import api_pb2 as api
from cricket.config.model import Nri as Rules
from cricket.errors import InvalidArgument, PermissionDenied, ResourceExhausted
from cricket.nri.claims import Claims, Field
from cricket.nri.from_records import container_message, overlay, resources_message, sandbox_message
from cricket.nri.known import Known
from cricket.nri.names import parse_name
from cricket.nri.plain import from_plain, parse, serialize, to_plain
from cricket.nri.sync_chunks import chunks
from cricket.nri.validator import REQUIRED_PLUGINS, validate
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState
from cricket.types.resources import Hugepage, Resources
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState
from cricket.types.security import ContainerSecurity, ProfileType, SecurityProfile

ADJUSTMENT: dict[str, Any] = {
    "annotations": {"a": "b"},
    "mounts": [{"destination": "/x", "options": ["ro"]}],
    "CDI_devices": [{"name": "v/c=d"}],
    "hooks": {"prestart": [{"path": "/h", "timeout": 0}]},
    "linux": {
        "oom_score_adj": 0,
        "resources": {"memory": {"limit": 5, "disable_oom_killer": False}, "pids": {}, "unified": {"a": "b"}},
        "scheduler": {"policy": "SCHED_FIFO", "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        "net_devices": {"eth0": {"name": "x"}, "-eth1": {}},
        "rdt": {"schemata": ["a", "b"], "clos_id": ""},
        "io_priority": {},
    },
}


def test_plain_values_go_there_and_back() -> None:
    message = from_plain(api.ContainerAdjustment, ADJUSTMENT)
    assert to_plain(message) == ADJUSTMENT
    assert parse(api.ContainerAdjustment, serialize(api.ContainerAdjustment, ADJUSTMENT)) == message


def test_unknown_enum_numbers_survive() -> None:
    assert to_plain(parse(api.LinuxScheduler, b"\x08\x63")) == {"policy": 99}
    assert from_plain(api.LinuxScheduler, {"policy": 99}).policy == 99


def test_garbage_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match="no Container message"):
        parse(api.Container, b"\xff")


def box(state: SandboxState = SandboxState.READY, box_id: str = "b") -> Sandbox:
    config = SandboxConfig(
        SandboxMetadata("n", "u", "ns"), labels={"l": "1"}, cgroup_parent="/k", overhead=Resources(cpu_shares=3)
    )
    return Sandbox(box_id, config, "h", state, 1, "boot", ips=("1.2.3.4",), netns="/run/n")


def ctr(state: ContainerState = ContainerState.RUNNING, ctr_id: str = "c", **more: Any) -> Container:
    config = ContainerConfig(
        ContainerMetadata("name"), image="id", user_image="busybox", annotations={"x": "y"}, **more
    )
    return Container(ctr_id, "b", config, state, 1, image_id="sha256:1", image_ref="r@sha256:2", pid=7)


def test_a_sandbox_as_message() -> None:
    message = sandbox_message(box())
    assert message["linux"]["namespaces"] == [{"type": "network", "path": "/run/n"}]
    assert message["linux"]["pod_overhead"]["cpu"]["shares"] == 3
    pod = from_plain(api.PodSandbox, message)
    assert (pod.name, pod.uid, pod.namespace, pod.pid, list(pod.ips)) == ("n", "u", "ns", 0, ["1.2.3.4"])


@pytest.mark.parametrize(
    "spec", [None, {}, {"process": None, "linux": {"resources": None, "seccomp": {"syscalls": []}}}]
)
def test_a_container_as_message_with_whatever_spec(spec: Any) -> None:
    security = ContainerSecurity(seccomp=SecurityProfile(ProfileType.LOCALHOST, "p"))
    message = container_message(ctr(security=security), spec)
    c = from_plain(api.Container, message)
    assert (c.id, c.pod_sandbox_id, c.name, c.pid) == ("c", "b", "name", 7)
    assert c.state == api.CONTAINER_RUNNING
    assert dict(c.annotations) == {"x": "y"}
    assert (c.image.name, c.image.digest, c.image.config_digest) == ("busybox", "sha256:2", "sha256:1")
    assert c.linux.seccomp_profile.profile_type == 2


def test_resources_there() -> None:
    message = resources_message(Resources(memory_limit=5, hugepages=(Hugepage("2MB", 1),), unified={"a": "b"}))
    assert message["cpu"]["shares"] == 0
    assert serialize(api.LinuxResources, message)


@pytest.mark.parametrize(
    ("old", "change", "new", "ignored"),
    [
        (Resources(cpu_shares=1), {"cpu": {"quota": 5}}, Resources(cpu_shares=1, cpu_quota=5), []),
        (Resources(), {"memory": {"limit": 5}}, Resources(memory_limit=5), []),
        (
            Resources(memory_limit=1, memory_swap_limit=1),
            {"memory": {"limit": 5}},
            Resources(memory_limit=5, memory_swap_limit=5),
            [],
        ),
        (
            Resources(memory_limit=1, memory_swap_limit=9),
            {"memory": {"limit": 5}},
            Resources(memory_limit=5, memory_swap_limit=9),
            [],
        ),
        (Resources(unified={"a": "1"}), {"unified": {"b": "2"}}, Resources(unified={"a": "1", "b": "2"}), []),
        (
            Resources(hugepages=(Hugepage("2MB", 1),)),
            {"hugepage_limits": [{"page_size": "2MB", "limit": 3}]},
            Resources(hugepages=(Hugepage("2MB", 3),)),
            [],
        ),
        (Resources(), {"memory": {"kernel": 1}, "pids": {"limit": 2}}, Resources(), ["memory.kernel", "pids"]),
    ],
)
def test_resources_back(old: Resources, change: dict[str, Any], new: Resources, ignored: list[str]) -> None:
    assert overlay(old, change) == (new, ignored)


def test_stop_and_removal_are_told_once_and_only_of_what_is_known() -> None:
    known = Known()
    assert not known.stop("a")
    assert not known.remove("a")
    known.add("a")
    assert known.stop("a")
    assert not known.stop("a")
    assert known.remove("a")
    assert not known.remove("a")


def test_a_joining_plugin_is_told_of_what_lives_and_of_what_it_would_miss() -> None:
    known = Known()
    sandboxes = [box(state, f"b-{state}") for state in SandboxState] + [box(SandboxState.CREATING, "passed")]
    containers = [ctr(state, f"c-{state}") for state in ContainerState] + [ctr(ContainerState.CREATING, "gone-by")]
    known.passed("passed", list)
    known.passed("gone-by", list)
    pods, chosen = known.choose(sandboxes, containers)
    assert [b.id for b in pods] == ["b-ready", "b-stopping", "b-stopped", "passed"]
    assert [c.id for c in chosen] == ["c-created", "c-starting", "c-running", "gone-by"]
    assert not known.stop("b-stopped")
    assert known.remove("b-stopped")
    assert known.stop("c-running")


def test_what_went_by_is_not_remembered_for_ever() -> None:
    known = Known()
    for number in range(10_000):
        known.passed(str(number), lambda last=number: {str(last)})
    assert len(known._passed) < 300


def test_chunks_carry_everything_once() -> None:
    pods = [{"id": f"p{n}"} for n in range(5)]
    containers = [{"id": f"c{n}", "annotations": {"x": "y" * 50}} for n in range(20)]
    requests = [api.SynchronizeRequest.FromString(part) for part in chunks(pods, containers, limit=300)]
    assert [pod.id for r in requests for pod in r.pods] == [pod["id"] for pod in pods]
    assert [c.id for r in requests for c in r.containers] == [c["id"] for c in containers]
    assert [r.more for r in requests] == [True] * (len(requests) - 1) + [False]
    assert all(r.ByteSize() <= 310 for r in requests)
    assert len(list(chunks([], []))) == 1
    with pytest.raises(ResourceExhausted):
        list(chunks([{"id": "x" * 400}], [], limit=300))


def test_names_of_plugins() -> None:
    assert parse_name("10-a-b") == ("10", "a-b")
    for bad in ("x", "1-a", "100-a", "10-", "10-a b", "-a"):
        with pytest.raises(InvalidArgument):
            parse_name(bad)


def claims(field: Field, key: str = "") -> Claims:
    made = Claims("c")
    made.claim(field, "10-x", key)
    return made


def profile(kind: str | None) -> dict[str, Any]:
    return {"linux": {"seccomp_profile": {"profile_type": kind}}} if kind else {}


@pytest.mark.parametrize(
    ("rules", "made", "container"),
    [
        (Rules(reject_hooks=True), claims(Field.OciHooks), {}),
        (Rules(reject_namespaces=True), claims(Field.Namespace, "ipc"), {}),
        (Rules(reject_sysctls=True), claims(Field.Sysctl, "a"), {}),
        (Rules(reject_unconfined_seccomp=True), claims(Field.SeccompPolicy), profile(None)),
        (Rules(reject_runtime_default_seccomp=True), claims(Field.SeccompPolicy), profile("RUNTIME_DEFAULT")),
        (Rules(reject_custom_seccomp=True), claims(Field.SeccompPolicy), profile("LOCALHOST")),
    ],
)
def test_rules_reject_what_they_name_and_nothing_else(rules: Rules, made: Claims, container: dict[str, Any]) -> None:
    with pytest.raises(PermissionDenied, match="10-x"):
        validate(rules, {}, container, made, [])
    validate(rules, {}, container, Claims("c"), [])
    validate(Rules(), {}, container, made, [])


@pytest.mark.parametrize("text", ["[a, b]", '["a", "b"]', "- a\n- 'b'\n", "[a,b]"])
def test_required_plugins_by_annotation(text: str) -> None:
    pod = {"annotations": {REQUIRED_PLUGINS: text}}
    validate(Rules(), pod, {"name": "c"}, Claims("c"), ["a", "b"])
    with pytest.raises(PermissionDenied, match="not connected: b"):
        validate(Rules(), pod, {"name": "c"}, Claims("c"), ["a"])


@pytest.mark.parametrize("text", ["a", "[a", '["a]'])
def test_a_broken_annotation_is_an_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidArgument):
        validate(Rules(), {"annotations": {REQUIRED_PLUGINS: text}}, {"name": "c"}, Claims("c"), [])


def test_required_plugins_by_rule_scope_and_toleration() -> None:
    rules = Rules(required_plugins=("a",), tolerate_missing_annotation="tolerate")
    with pytest.raises(PermissionDenied):
        validate(rules, {}, {"name": "c"}, Claims("c"), [])
    validate(rules, {"annotations": {"tolerate/container.c": "true"}}, {"name": "c"}, Claims("c"), [])
    with pytest.raises(PermissionDenied):
        validate(rules, {"annotations": {"tolerate/container.d": "true"}}, {"name": "c"}, Claims("c"), [])
    with pytest.raises(InvalidArgument):
        validate(rules, {"annotations": {"tolerate": "maybe"}}, {"name": "c"}, Claims("c"), [])
