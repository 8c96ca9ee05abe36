"""A disk that is full: nothing begins, everything can end, and what has ended is written later."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.errors import ResourceExhausted
from cricket.store.store import Store
from cricket.types.container import Container, ContainerConfig, ContainerEvent, ContainerMetadata, ContainerState
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxEvent, SandboxMetadata, SandboxState

_BIG = (("BIG", "x" * 50_000),)


def _container(container_id: str, state: ContainerState) -> Container:
    return Container(container_id, "a1", ContainerConfig(ContainerMetadata(container_id)), state, 1)


def _grown(record: Container) -> Container:
    """The same with more in it than fits into the pages that the file has."""
    import msgspec

    return msgspec.structs.replace(record, config=msgspec.structs.replace(record.config, env=_BIG))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose file cannot grow, holding two containers and a sandbox."""
    store = Store(str(tmp_path / "state.db"))
    store.put(Sandbox("a1", SandboxConfig(SandboxMetadata("n", "u", "s")), "", SandboxState.READY, 1, "boot"))
    store.put(_container("c1", ContainerState.STARTING))
    store.put(_container("c2", ContainerState.RUNNING))
    store._db.execute("PRAGMA max_page_count=1")
    return store


def _grow(store: Store) -> None:
    store._db.execute("PRAGMA max_page_count=100000")


def test_nothing_new_can_be_begun(store: Store) -> None:
    with pytest.raises(ResourceExhausted, match="Free space"):
        store.put(_grown(_container("c3", ContainerState.CREATING)))
    with pytest.raises(ResourceExhausted):
        store.put(_grown(_container("c3", ContainerState.CREATED)))
    assert "c3" not in store.containers


def test_an_exit_is_shown_and_written_later(store: Store) -> None:
    told = []
    store.on_waiting = lambda: told.append(1)
    exited = _grown(store.containers["c2"]).fire(ContainerEvent.EXITED, exit_code=3)
    running = _grown(store.containers["c1"]).fire(ContainerEvent.STARTED, pid=5)
    store.put(exited)
    store.put(running)
    assert store.containers["c2"].exit_code == 3
    assert told == [1], "once"
    assert not store.flush()
    assert Store(store.path).containers["c2"].state is ContainerState.RUNNING, "what a successor would start from"
    _grow(store)
    assert store.flush()
    assert Store(store.path).containers == store.containers


def test_the_latest_change_counts(store: Store) -> None:
    store.put(_grown(store.containers["c2"]).fire(ContainerEvent.EXITED))
    removing = store.containers["c2"].fire(ContainerEvent.REMOVE)
    store.put(removing)
    store.delete(removing)
    assert "c2" not in store.containers
    _grow(store)
    store.close()
    assert list(Store(store.path).containers) == ["c1"]


def test_a_sandbox_can_be_stopped_and_removed(store: Store) -> None:
    box = store.sandboxes["a1"]
    for event in (SandboxEvent.STOP, SandboxEvent.STOPPED, SandboxEvent.REMOVE):
        box = box.fire(event)
        store.put(box)
    store.delete(box)
    assert not store.sandboxes


def test_names_that_look_alike_when_joined_are_two_sandboxes(tmp_path: Path) -> None:
    first = SandboxMetadata(name="a_b", uid="u", namespace="c")
    second = SandboxMetadata(name="a", uid="u", namespace="b_c")
    assert first.key != second.key
    assert ContainerMetadata("a_", 1).key("") != ContainerMetadata("a", 1).key("_")
