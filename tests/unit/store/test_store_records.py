"""The store: what a second daemon finds after the first one has died."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cricket.errors import DataLoss, InvalidArgument, NotFound
from cricket.store.store import SCHEMA_VERSION, Store
from cricket.types.container import Container, ContainerConfig, ContainerMetadata, ContainerState
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxEvent, SandboxMetadata, SandboxState


def sandbox(sandbox_id: str, *, created_at: int = 1, attempt: int = 0) -> Sandbox:
    config = SandboxConfig(SandboxMetadata("web", "uid", "default", attempt))
    return Sandbox(sandbox_id, config, "", SandboxState.READY, created_at, "boot")


def container(container_id: str, sandbox_id: str, *, created_at: int = 1) -> Container:
    config = ContainerConfig(ContainerMetadata("app"), env=(("TOKEN", "secret"),))
    return Container(container_id, sandbox_id, config, ContainerState.CREATED, created_at)


def crashed(store: Store) -> Store:
    """A second store on the file of one that was never closed, as after SIGKILL."""
    return Store(store.path)


def test_records_survive_a_crash_in_the_order_of_their_creation(tmp_path: Path) -> None:
    store = Store(f"{tmp_path}/db/state.db")
    for box in (sandbox("b2", created_at=2, attempt=1), sandbox("a1", created_at=1)):
        store.put(box)
    store.put(container("c1", "a1"))
    again = crashed(store)
    assert list(again.sandboxes.values()) == [store.sandboxes["a1"], store.sandboxes["b2"]]
    assert again.members("a1") == [store.containers["c1"]]
    assert again.container_named("a1", ContainerMetadata("app").key("")) == store.containers["c1"]


def test_a_name_is_free_as_soon_as_its_holder_is_being_removed(tmp_path: Path) -> None:
    store = Store(f"{tmp_path}/state.db")
    box = sandbox("a1")
    store.put(box)
    assert store.sandbox_named(box.config.metadata.key) is not None
    stopped = box.fire(SandboxEvent.STOP).fire(SandboxEvent.STOPPED)
    store.put(stopped.fire(SandboxEvent.REMOVE))
    assert store.sandbox_named(box.config.metadata.key) is None
    assert crashed(store).sandbox_named(box.config.metadata.key) is None
    store.delete(stopped)
    store.delete(stopped)
    assert not crashed(store).sandboxes


def test_only_the_owner_reads_the_files_because_records_hold_environments(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(0o644)
    store = Store(str(path))
    store.put(container("c1", "a1"))
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()} == dict.fromkeys(
        ("state.db", "state.db-wal", "state.db-shm", "state.db.reserve"), "0o600"
    )


def test_ids_by_prefix(tmp_path: Path) -> None:
    store = Store(f"{tmp_path}/state.db")
    store.put(sandbox("abc1"))
    store.put(sandbox("abd2", attempt=1))
    assert store.sandbox("abc").id == "abc1"
    with pytest.raises(InvalidArgument, match="ambiguous"):
        store.sandbox("ab")
    for missing in ("", "x"):
        with pytest.raises(NotFound):
            store.sandbox(missing)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = f"{tmp_path}/state.db"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(DataLoss, match="newer version"):
        Store(path)


def test_a_damaged_file_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DataLoss, match="damaged"):
        Store(str(path))


def test_a_damaged_record_is_told_with_its_id(tmp_path: Path) -> None:
    store = Store(f"{tmp_path}/state.db")
    store.put(sandbox("a1"))
    store.close()
    db = sqlite3.connect(store.path)
    with db:
        db.execute("UPDATE records SET body = '{'")
    db.close()
    with pytest.raises(DataLoss, match="a1"):
        Store(store.path)
