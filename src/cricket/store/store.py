"""The store: one sqlite file on disk, the same records in memory, every change in both before the call returns.

WAL with synchronous=NORMAL: a change survives the death of the process at once, and power loss after the next
checkpoint. That is enough here: after power loss nothing runs any more, and recovery compares the records with what is
on disk and sweeps what no record names. Images have their own index, which is synced fully.

On a full (or broken) disk nothing new can be begun, but what ends must be able to end: changes towards the end of an
object are then shown in memory, and written when the disk takes them again. A daemon that dies before finds the older
record, and recovery comes to the same end from there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from cricket.errors import CricketError, DataLoss, Internal, ResourceExhausted, map_errors
from cricket.kernel.effects import effect
from cricket.kernel.files import make_dir
from cricket.kernel.reserve import Reserve
from cricket.store.names import resolve
from cricket.types.container import Container, ContainerState
from cricket.types.sandbox import Sandbox, SandboxState

log = logging.getLogger(__name__)
SCHEMA_VERSION = 1
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID"
)
_DAMAGED = "Restore it, or move it away: the next start then removes everything that it recorded."
_GONE_SANDBOX = (SandboxState.REMOVING,)
_GONE_CONTAINER = (ContainerState.REMOVING,)
# RUNNING, too: the process runs, whatever the disk says, and recovery finds it so.
_MAY_WAIT = frozenset(
    (SandboxState.STOPPING, SandboxState.STOPPED, SandboxState.REMOVING)
    + (ContainerState.RUNNING, ContainerState.EXITED, ContainerState.REMOVING)
)


class Store:
    """Records of sandboxes and containers. Not for several threads: all calls come from the event loop."""

    def __init__(self, path: str) -> None:
        """Open or create the file.

        Raises DataLoss when it was written by a newer version or is damaged, ResourceExhausted, Internal.
        """
        make_dir(os.path.dirname(path), 0o700)
        self.path = path
        self.on_waiting: Callable[[], None] = lambda: None
        self._waiting: dict[str, Sandbox | Container | None] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._encode = msgspec.json.Encoder().encode
        reserve = Reserve(f"{path}.reserve")
        try:
            self._open()
        except ResourceExhausted:
            if not reserve.spend():
                raise
            self._open()
        reserve.keep()

    def _open(self) -> None:
        path = self.path
        with (
            map_errors(sqlite3.DatabaseError, DataLoss, "the state database is damaged", where=path, todo=_DAMAGED),
            _translated("cannot open the state database", path),
        ):
            # Records hold the environment of containers, and with it secrets; sqlite gives its own files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(path, 0o600)
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=16)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._check_version()
            self._db.execute(_SCHEMA)
            self._load()

    def _check_version(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise DataLoss(
                f"the state database has schema {version}, this program knows {SCHEMA_VERSION}",
                where=self.path,
                todo="Start the newer version that wrote it.",
            )
        if version != SCHEMA_VERSION:
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _load(self) -> None:
        decoders: dict[str, Any] = {
            "sandbox": msgspec.json.Decoder(Sandbox).decode,
            "container": msgspec.json.Decoder(Container).decode,
        }
        rows = self._db.execute("SELECT id, kind, body FROM records").fetchall()
        records = []
        for key, kind, body in rows:
            with map_errors(
                (msgspec.MsgspecError, KeyError), DataLoss, f"the record of a {kind} is damaged", where=key
            ):
                records.append(decoders[kind](body))
        for record in sorted(records, key=lambda r: r.created_at):
            self._index(record)

    def _index(self, record: Sandbox | Container) -> None:
        if isinstance(record, Sandbox):
            self.sandboxes[record.id] = record
            name, gone = record.config.metadata.key, record.state in _GONE_SANDBOX
        else:
            self.containers[record.id] = record
            self._members.setdefault(record.sandbox_id, {})[record.id] = None
            name, gone = self._container_name(record), record.state in _GONE_CONTAINER
        if gone:
            if self._by_name.get(name) == record.id:
                del self._by_name[name]
        else:
            self._by_name[name] = record.id

    def _container_name(self, record: Container) -> str:
        return f"{record.sandbox_id}/{record.config.metadata.key('')}"

    def put(self, record: Sandbox | Container) -> None:
        """Write a record, durably, then show it in memory. After ResourceExhausted, Internal nothing has changed.

        Those that `_MAY_WAIT` never fail: `flush` writes them later.
        """
        try:
            self._write(record.id, record)
        except CricketError as error:
            if record.state not in _MAY_WAIT:
                raise
            self._wait(record.id, record, error)
        self._index(record)
        effect(f"store {_kind(record)} {record.state}")

    def _write(self, key: str, record: Sandbox | Container | None) -> None:
        what = "cannot write a record"
        with map_errors(sqlite3.Error, Internal, what, where=key), _translated(what, key):
            if record is None:
                self._db.execute("DELETE FROM records WHERE id = ?", (key,))
            else:
                self._db.execute(
                    "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                    (key, _kind(record), self._encode(record)),
                )
        self._waiting.pop(key, None)

    def _wait(self, key: str, record: Sandbox | Container | None, error: CricketError) -> None:
        first = not self._waiting
        self._waiting[key] = record
        if first:
            log.error("records are kept in memory until the disk takes them: %s", error)
            self.on_waiting()

    def flush(self) -> bool:
        """Write what is waiting; whether nothing waits any more. Never fails."""
        if not self._waiting:
            return True
        try:
            for key, record in list(self._waiting.items()):
                self._write(key, record)
        except CricketError:
            return False
        log.info("all records are on the disk again")
        return True

    def delete(self, record: Sandbox | Container) -> None:
        """Forget a record. Idempotent. Never fails: a disk that does not take it gets it later."""
        try:
            self._write(record.id, None)
        except CricketError as error:
            self._wait(record.id, None, error)
        if isinstance(record, Sandbox):
            self.sandboxes.pop(record.id, None)
            name = record.config.metadata.key
        else:
            self.containers.pop(record.id, None)
            members = self._members.get(record.sandbox_id, {})
            members.pop(record.id, None)
            if not members:
                self._members.pop(record.sandbox_id, None)
            name = self._container_name(record)
        if self._by_name.get(name) == record.id:
            del self._by_name[name]
        effect("store delete")

    def sandbox(self, prefix: str) -> Sandbox:
        """The sandbox with this id or unique prefix. Raises NotFound, InvalidArgument when ambiguous."""
        return self.sandboxes[resolve(self.sandboxes, prefix, "sandbox")]

    def container(self, prefix: str) -> Container:
        """The container with this id or unique prefix. Raises NotFound, InvalidArgument when ambiguous."""
        return self.containers[resolve(self.containers, prefix, "container")]

    def members(self, sandbox_id: str) -> list[Container]:
        """The containers of a sandbox, oldest first."""
        return [self.containers[i] for i in self._members.get(sandbox_id, ())]

    def sandbox_named(self, key: str) -> Sandbox | None:
        """The live sandbox that holds the name `key` (SandboxMetadata.key)."""
        return self.sandboxes.get(self._by_name.get(key, ""))

    def container_named(self, sandbox_id: str, key: str) -> Container | None:
        """The live container of the sandbox that holds the name `key` (ContainerMetadata.key(""))."""
        return self.containers.get(self._by_name.get(f"{sandbox_id}/{key}", ""))

    def close(self) -> None:
        """Write what is waiting, checkpoint the log and close the file."""
        self.flush()
        self._db.close()


def _kind(record: Sandbox | Container) -> str:
    return "sandbox" if isinstance(record, Sandbox) else "container"


@contextlib.contextmanager
def _translated(what: str, where: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL"):
            raise ResourceExhausted(what, where=where, todo="Free space on the disk of the state database.") from error
        raise Internal(what, where=where) from error
    except OSError as error:
        raise Internal(what, where=where) from error
