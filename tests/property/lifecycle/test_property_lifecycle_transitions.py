"""The transition tables: what they allow keeps a record sensible, what they do not changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import FailedPrecondition
from cricket.types.container import (
    CONTAINER_TRANSITIONS,
    Container,
    ContainerConfig,
    ContainerEvent,
    ContainerMetadata,
    ContainerState,
)
from cricket.types.sandbox import (
    SANDBOX_TRANSITIONS,
    Sandbox,
    SandboxConfig,
    SandboxEvent,
    SandboxMetadata,
    SandboxState,
)

_SANDBOX = Sandbox(
    "id", SandboxConfig(metadata=SandboxMetadata(name="p", uid="u", namespace="n")), "", SandboxState.CREATING, 1, "b"
)
_CONTAINER = Container(
    "id", "box", ContainerConfig(metadata=ContainerMetadata(name="c"), image="i"), ContainerState.CREATING, 1
)


def walk(record: Any, events: list[Any], table: dict[Any, Any]) -> list[Any]:
    """The records after each event; a forbidden one leaves the record as it was."""
    records = [record]
    for event in events:
        before = records[-1]
        if (before.state, event) in table:
            records.append(before.fire(event))
        else:
            with pytest.raises(FailedPrecondition, match=str(before.state)):
                before.fire(event)
            records.append(before)
    return records


@given(st.lists(st.sampled_from(list(SandboxEvent)), max_size=30))
def test_sandboxes(events: list[SandboxEvent]) -> None:
    states = [record.state for record in walk(_SANDBOX, events, SANDBOX_TRANSITIONS)]
    once = [state for n, state in enumerate(states) if n == 0 or state is not states[n - 1]]
    assert len(once) == len(set(once)), "no state is entered twice"
    if SandboxState.STOPPED in once:
        assert once.index(SandboxState.STOPPING) < once.index(SandboxState.STOPPED)
    if SandboxState.REMOVING in once:
        assert once[-1] is SandboxState.REMOVING
        assert once[-2] in (SandboxState.CREATING, SandboxState.STOPPED), "what is ready is never removed"


@given(st.lists(st.sampled_from(list(ContainerEvent)), max_size=30))
def test_containers(events: list[ContainerEvent]) -> None:
    states = [record.state for record in walk(_CONTAINER, events, CONTAINER_TRANSITIONS)]
    for state, after in zip(states, states[1:], strict=False):
        if after is ContainerState.RUNNING and state is not after:
            assert state is ContainerState.STARTING, "nothing runs that was not being started"
        if after is ContainerState.REMOVING and state is not after:
            assert state is not ContainerState.RUNNING, "what runs is stopped before it is removed"
    if ContainerState.EXITED in states:
        rest = set(states[states.index(ContainerState.EXITED) :])
        assert rest <= {ContainerState.EXITED, ContainerState.REMOVING}, "an exit is for good"


@pytest.mark.parametrize(
    ("table", "states", "first"),
    [
        (SANDBOX_TRANSITIONS, SandboxState, SandboxState.CREATING),
        (CONTAINER_TRANSITIONS, ContainerState, ContainerState.CREATING),
    ],
)
def test_every_state_is_reached_and_leads_to_removal(table: dict[Any, Any], states: Any, first: Any) -> None:
    def reach(start: Any) -> set[Any]:
        found = {start}
        while more := {to for (state, _), to in table.items() if state in found} - found:
            found |= more
        return found

    assert reach(first) == set(states)
    assert all(states.REMOVING in reach(state) for state in states)
