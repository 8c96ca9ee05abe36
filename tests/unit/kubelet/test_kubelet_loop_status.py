"""Statuses in the kubelet's words."""

from __future__ import annotations

import msgspec
from kubelet_model import World, pod

from cricket.cli.podcolumns import columns
from cricket.kubelet.actions import Health
from cricket.kubelet.model.base import Quantity
from cricket.kubelet.model.container import Container, ResourceRequirements
from cricket.kubelet.status import Json, Shown, pod_status

A, INIT, SIDE = Container("a"), Container("i"), Container("side", restart_policy="Always")


def status(world: World, **waiting: tuple[str, str]) -> Json:
    return pod_status(world.situation(), Shown(waiting), world.now)


def word(world: World, **waiting: tuple[str, str]) -> str:
    spec = msgspec.to_builtins(world.pod.spec)
    return columns({"metadata": {}, "spec": spec, "status": status(world, **waiting)}).status


def reasons(world: World) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status(world)["conditions"]}


def test_before_and_while_running() -> None:
    world = World(pod(A))
    assert (status(world)["phase"], word(world)) == ("Pending", "ContainerCreating")
    world.settle()
    assert (status(world)["phase"], word(world)) == ("Running", "Running")
    assert set(reasons(world).values()) == {"True"}


def test_init() -> None:
    world = World(pod(A, init=(INIT,)))
    world.settle()
    told = status(world)
    assert told["phase"] == "Pending" and word(world) == "Init:0/1"
    assert told["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert reasons(world)["Initialized"] == "False"
    world.exit_named("i", 1)
    assert word(world, i=("CrashLoopBackOff", "")) == "Init:CrashLoopBackOff"


def test_crash_loop() -> None:
    world = World(pod(A))
    world.settle()
    world.exit_named("a", 2)
    world.settle()
    world.exit_named("a", 2)
    plan = world.settle()
    told = status(world, **plan.waiting)
    container = told["containerStatuses"][0]
    assert told["phase"] == "Running" and word(world, **plan.waiting) == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["exitCode"] == 2 and container["restartCount"] == 1


def test_ends() -> None:
    for code, phase, shown in ((0, "Succeeded", "Completed"), (1, "Failed", "Error")):
        world = World(pod(A, policy="Never"))
        world.settle()
        world.exit_named("a", code)
        world.settle()
        assert (status(world)["phase"], word(world)) == (phase, shown)
        assert reasons(world)["Ready"] == "False"


def test_phase_is_final_when_nothing_runs() -> None:
    world = World(pod(A, init=(SIDE,), policy="Never"))
    world.settle()
    world.exit_named("a", 0)
    assert status(world)["phase"] == "Running"
    world.settle()
    assert status(world)["phase"] == "Succeeded"


def test_unready() -> None:
    world = World(pod(A))
    world.settle()
    world.health[world.running()["a"].id] = Health(started=True, ready=False)
    ready = next(c for c in status(world)["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ContainersNotReady" and ready["message"] == "containers with unready status: [a]"


def test_resources_and_their_change() -> None:
    small, large = (
        Container("a", resources=ResourceRequirements({"memory": Quantity(size)}, {"memory": Quantity(size)}))
        for size in ("16Mi", "32Mi")
    )
    world = World(pod(small, overhead={"memory": Quantity("1Mi")}))
    world.settle()
    told = status(world)
    assert told["resources"] == {"limits": {"memory": "17Mi"}, "requests": {"memory": "17Mi"}}
    assert told["allocatedResources"] == {"memory": "17Mi"}
    assert told["containerStatuses"][0]["allocatedResources"] == {"memory": "16Mi"}
    assert "PodResizeInProgress" not in reasons(world)
    world.pod = pod(large, overhead={"memory": Quantity("1Mi")})
    told = pod_status(world.situation(), Shown(resize_error="no"), world.now)
    assert told["containerStatuses"][0]["resources"]["limits"] == {"memory": "16Mi"}, "what it has, not what it gets"
    changes = next(c for c in told["conditions"] if c["type"] == "PodResizeInProgress")
    assert (changes["status"], changes["reason"], changes["message"]) == ("True", "Error", "no")
    world.settle()
    assert status(world)["allocatedResources"] == {"memory": "33Mi"} and "PodResizeInProgress" not in reasons(world)


def test_transition_times_stay() -> None:
    world = World(pod(A))
    world.settle()
    before = status(world)
    world.pass_time(60)
    after = pod_status(world.situation(), Shown(), world.now, before)
    assert before["conditions"] == after["conditions"]


def test_deadline() -> None:
    world = World(pod(A, active_deadline_seconds=1))
    world.settle()
    world.pass_time(2)
    world.settle()
    told = status(world)
    assert (told["phase"], told["reason"]) == ("Failed", "DeadlineExceeded")
