"""Whatever happens in whatever order, the pod comes to what it should be, and an end leaves nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "kubelet"))

from kubelet_model import World, pod  # noqa: E402  (a neighbour of the unit tests)

from cricket.kubelet.actions import Health  # noqa: E402
from cricket.kubelet.actions_outcome import outcome  # noqa: E402
from cricket.kubelet.loop_records import State  # noqa: E402
from cricket.kubelet.model.base import Quantity  # noqa: E402
from cricket.kubelet.model.container import Container, ResourceRequirements  # noqa: E402

_INITS = st.lists(st.sampled_from(["regular", "sidecar"]), max_size=3)
_EVENTS = st.one_of(
    st.tuples(st.just("exit"), st.integers(0, 5), st.sampled_from([0, 1, 137])),
    st.tuples(st.just("probe"), st.integers(0, 5), st.sampled_from(["liveness", "startup"])),
    st.tuples(st.just("box"), st.just(0), st.just(0)),
    st.tuples(st.just("resize"), st.integers(1, 3), st.just(0)),
    st.tuples(st.just("time"), st.integers(1, 900), st.just(0)),
    # The agent dies after so many actions of a plan; the next one knows what was saved.
    st.tuples(st.just("killed"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("settle"), st.just(0), st.just(0)),
)


def _happen(world: World, kind: str, number: int, what: int | str) -> None:
    running = sorted(world.running().values(), key=lambda record: record.id)
    if kind == "exit" and running and isinstance(what, int):
        world.exit(running[number % len(running)].id, what)
    elif kind == "probe" and running:
        world.health[running[number % len(running)].id] = Health(True, True, str(what))
    elif kind == "resize":
        limits = ResourceRequirements({"memory": Quantity(f"{number}Mi")})
        world.pod = structs.replace(world.pod, spec=structs.replace(world.pod.spec, resources=limits))
    elif kind == "box":
        for key in list(world.boxes):
            world.stop_box(key)
    elif kind == "time":
        world.pass_time(number)
    elif kind == "killed":
        world.step(number)
    elif kind == "settle":
        world.settle()


@settings(max_examples=300, deadline=None)
@given(
    kinds=_INITS,
    mains=st.integers(1, 3),
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    events=st.lists(_EVENTS, max_size=25),
)
def test_converges_and_leaves_nothing(
    kinds: list[str], mains: int, policy: str, events: list[tuple[str, int, int | str]]
) -> None:
    inits = tuple(
        Container(f"i{at}", restart_policy="Always" if kind == "sidecar" else "") for at, kind in enumerate(kinds)
    )
    names = {f"m{at}" for at in range(mains)}
    world = World(pod(*(Container(name) for name in sorted(names)), init=inits, policy=policy))
    for kind, number, what in events:
        _happen(world, kind, number, what)
    _calm(world, {container.name for container in inits if not container.sidecar})
    sidecars = {container.name for container in inits if container.sidecar}
    ended = outcome(world.pod, world.records(), world.started_at, world.now)
    if ended:
        assert not world.running()
    else:
        ran = [record for record in world.containers.values() if record.state is State.EXITED]
        dead = {r.name for r in ran if policy == "Never" or (policy == "OnFailure" and r.exit_code == 0)}
        assert set(world.running()) >= sidecars | (names - dead)
        assert world.settled == world.pod
    assert len([box for box in world.boxes.values() if box.ready]) == (0 if ended else 1)
    world.ending = True
    world.settle()
    assert world.gone and not world.boxes and not world.containers


def _calm(world: World, regular: set[str]) -> None:
    """Nothing happens any more but that time passes, and that regular init containers succeed."""
    for _ in range(60):
        world.settle()
        for name in regular & set(world.running()):
            world.exit_named(name, 0)
        world.pass_time(301)
