"""What is done when, in the kubelet's order."""

from __future__ import annotations

import pytest
from kubelet_model import World, pod
from msgspec.structs import replace

from cricket.kubelet.actions import Health
from cricket.kubelet.actions_list import (
    KillContainer,
    KillPod,
    RemovePod,
    ResizeContainer,
    ResizePod,
    RunSandbox,
    StartContainer,
)
from cricket.kubelet.actions_outcome import outcome
from cricket.kubelet.loop_records import SECOND, State
from cricket.kubelet.model.base import Quantity
from cricket.kubelet.model.container import Container, ExitCodes, ResizePolicy, ResourceRequirements, RestartRule

A, B = Container("a"), Container("b")
INIT1, INIT2 = Container("i1"), Container("i2")
SIDE = Container("side", restart_policy="Always")


def ended(world: World) -> str:
    return outcome(world.pod, world.records(), world.started_at, world.now)


def test_pod_starts_and_rests() -> None:
    world = World(pod(A, B))
    assert world.step().actions == (RunSandbox(0),)
    world.settle()
    assert world.names() == ["a", "b"]
    assert not world.settle().actions


def test_init_containers_run_one_after_the_other() -> None:
    world = World(pod(A, init=(INIT1, INIT2)))
    world.settle()
    assert set(world.running()) == {"i1"}
    world.exit_named("i1", 0)
    world.settle()
    assert set(world.running()) == {"i2"}
    world.exit_named("i2", 0)
    world.settle()
    assert set(world.running()) == {"a"}
    world.exit_named("a", 1)
    world.settle()
    assert world.names() == ["i1", "i2", "a", "a"]


def test_failed_init_container_is_tried_again_with_backoff() -> None:
    world = World(pod(A, init=(INIT1,)))
    world.settle()
    for _ in range(2):
        world.exit_named("i1", 3)
        plan = world.settle()
    assert plan.waiting["i1"][0] == "CrashLoopBackOff"
    assert plan.waiting["i1"][1].startswith("back-off 10s restarting failed container=i1 pod=web_default(u1)")
    world.pass_time(10)
    world.settle()
    world.exit_named("i1", 0)
    world.settle()
    assert set(world.running()) == {"a"}


def test_failed_init_container_of_a_pod_that_is_never_restarted() -> None:
    world = World(pod(A, init=(INIT1, SIDE), policy="Never"))
    world.settle()
    world.exit_named("i1", 1)
    world.settle()
    assert ended(world) == "Failed" and not world.running() and "a" not in world.names()


def test_sidecar_has_to_have_started_and_stays() -> None:
    world = World(pod(A, init=(SIDE, INIT1), policy="Never"))
    world.step()
    world.step()
    side = world.running()["side"].id
    world.health[side] = Health(started=False, ready=False)
    world.settle()
    assert set(world.running()) == {"side"}
    world.health[side] = Health()
    world.settle()
    world.exit_named("i1", 0)
    world.settle()
    assert set(world.running()) == {"side", "a"}
    world.exit_named("side", 1)
    world.settle()
    assert set(world.running()) == {"side", "a"}
    world.exit_named("a", 0)
    world.settle()
    assert not world.running() and ended(world) == "Succeeded" and KillPod("finished") in world.done


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_restart_policies(policy: str, code: int, again: bool) -> None:
    world = World(pod(A, policy=policy))
    world.settle()
    world.exit_named("a", code)
    world.settle()
    assert ("a" in world.running()) is again
    assert ended(world) == ("" if again else "Failed" if code else "Succeeded")


def test_crash_loop_grows_to_five_minutes_and_begins_anew() -> None:
    world, delays = World(pod(A)), []
    world.settle()
    for _ in range(8):
        world.exit_named("a", 1)
        begin = world.now
        plan = world.settle()
        if "a" not in world.running():
            world.now = plan.wake_at
            world.settle()
        delays.append(round((world.now - begin) / SECOND))
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert world.running()["a"].attempt == 8
    world.pass_time(601)
    world.exit_named("a", 1)
    world.settle()
    assert "a" in world.running(), "ten minutes without a crash forgive all"


def test_dead_containers_are_kept_one_each() -> None:
    world = World(pod(A))
    for _ in range(5):
        world.settle()
        world.exit_named("a", 1)
        world.pass_time(300)
    world.settle()
    assert sorted(r.state.name for r in world.containers.values()) == ["EXITED", "RUNNING"]


@pytest.mark.parametrize("probe", ["liveness", "startup"])
def test_failed_probe_restarts(probe: str) -> None:
    world = World(pod(A))
    world.settle()
    first = world.running()["a"].id
    world.health[first] = Health(True, True, probe, 5)
    world.settle()
    kill = KillContainer(first, "a", f"Container a failed {probe} probe, will be restarted", 5)
    assert kill in world.done and world.running()["a"].attempt == 1


def test_failed_probe_of_a_pod_that_is_never_restarted() -> None:
    world = World(pod(A, policy="Never"))
    world.settle()
    world.health[world.running()["a"].id] = Health(True, True, "liveness")
    world.settle()
    assert not world.running() and ended(world) == "Failed"


def test_lost_sandbox_is_made_again_with_its_init_containers() -> None:
    world = World(pod(A, init=(INIT1,)))
    world.settle()
    world.exit_named("i1", 0)
    world.settle()
    world.stop_box(next(iter(world.boxes)))
    world.settle()
    assert RunSandbox(1) in world.done and world.names() == ["i1", "a", "i1"]
    world.exit_named("i1", 0)
    world.settle()
    assert world.running()["a"].attempt == 1


def test_what_has_succeeded_is_not_repeated_in_a_new_sandbox() -> None:
    world = World(pod(A, B, policy="OnFailure"))
    world.settle()
    world.exit_named("a", 0)
    world.settle()
    world.stop_box(next(iter(world.boxes)))
    world.settle()
    assert set(world.running()) == {"b"}


def test_container_whose_creator_died_is_made_again() -> None:
    world = World(pod(A))
    world.step()
    world.start(StartContainer("a", 0, next(iter(world.boxes))), State.CREATED)
    world.settle()
    assert world.running()["a"].attempt == 0 and len(world.containers) == 1


def test_deadline() -> None:
    world = World(pod(A, active_deadline_seconds=60))
    plan = world.settle()
    assert plan.wake_at == world.started_at + 60 * SECOND
    world.now = plan.wake_at
    world.settle()
    assert ended(world) == "DeadlineExceeded" and not world.running()
    world.pass_time(1000)
    assert not world.settle().actions


def test_deadline_does_not_undo_a_success() -> None:
    world = World(pod(A, policy="Never", active_deadline_seconds=60))
    world.settle()
    world.exit_named("a", 0)
    world.pass_time(100)
    world.settle()
    assert ended(world) == "Succeeded"


def test_end() -> None:
    world = World(pod(A, init=(SIDE,)))
    world.settle()
    world.ending = True
    world.settle()
    assert world.done[-2:] == [KillPod("deleted"), RemovePod()] and not world.boxes and not world.containers


def _resources(cpu: str) -> ResourceRequirements:
    return ResourceRequirements(limits={"cpu": Quantity(cpu)})


def test_resize_in_place() -> None:
    world = World(pod(replace(A, resources=_resources("100m"))))
    world.settle()
    world.pod = pod(replace(A, resources=_resources("200m")))
    plan = world.step()
    assert plan.actions == (ResizeContainer(world.running()["a"].id, "a"),)
    assert world.step().actions == (ResizePod(),), "the pod after its containers"
    assert not world.settle().actions


def test_resize_of_the_pod_reaches_containers_without_limits() -> None:
    own = replace(A, resources=_resources("100m"))
    world = World(pod(own, B, resources=_resources("500m")))
    world.settle()
    world.pod = pod(own, B, resources=_resources("800m"))
    assert world.step().actions == (ResizeContainer(world.running()["b"].id, "b"),)
    assert world.step().actions == (ResizePod(),)
    assert not world.settle().actions


def test_resize_of_the_pod_alone() -> None:
    own = replace(A, resources=_resources("100m"))
    world = World(pod(own, resources=_resources("500m")))
    world.settle()
    world.pod = pod(own, resources=_resources("800m"))
    assert world.step().actions == (ResizePod(),)


def test_resize_that_wants_a_restart() -> None:
    policy = (ResizePolicy("cpu", "RestartContainer"),)
    world = World(pod(replace(A, resources=_resources("100m"), resize_policy=policy)))
    world.settle()
    world.pod = pod(replace(A, resources=_resources("200m"), resize_policy=policy))
    world.settle()
    assert world.running()["a"].attempt == 1


def test_containers_have_their_own_policies() -> None:
    rule = RestartRule("Restart", ExitCodes("NotIn", (7,)))
    by_rule = replace(A, restart_policy="Never", restart_policy_rules=(rule,))
    world = World(pod(by_rule, replace(B, restart_policy="OnFailure"), policy="Never"))
    world.settle()
    world.exit_named("a", 1)
    world.exit_named("b", 1)
    world.settle()
    assert set(world.running()) == {"a", "b"}, "both are restarted at once"
    world.exit_named("a", 7)
    world.exit_named("b", 0)
    world.settle()
    assert ended(world) == "Failed"


def test_an_init_container_that_is_not_restarted_fails_the_pod() -> None:
    world = World(pod(A, init=(replace(INIT1, restart_policy="Never"),)))
    world.settle()
    world.exit_named("i1", 1)
    assert ended(world) == "Failed"
    world = World(pod(A, init=(replace(INIT1, restart_policy="OnFailure"),), policy="Never"))
    world.settle()
    world.exit_named("i1", 1)
    world.settle()
    assert world.running()["i1"].attempt == 1


def test_a_failed_probe_does_not_ask_the_rules() -> None:
    rule = RestartRule("Restart", ExitCodes("In", (1,)))
    world = World(pod(replace(A, restart_policy="Never", restart_policy_rules=(rule,)), B))
    world.settle()
    world.health[world.running()["a"].id] = Health(True, True, "liveness")
    (kill,) = world.step().actions
    assert isinstance(kill, KillContainer) and kill.message == "Container a failed liveness probe"
