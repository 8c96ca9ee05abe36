"""Which stage each running operation is in, for `cricket why ID`.

The server opens an `operation` for each request, and background work opens one for itself. What is called in it says
where it is:

    with stage("network setup", sandbox.id):
        ...

A contextvar carries the operation through awaits, tasks and `asyncio.to_thread`; outside an operation `stage` does
nothing. Entering and leaving costs about a microsecond, so a stage is free to be small.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar

import msgspec

MAX_STAGES = 500
KEPT = 64
WORTH_KEEPING = 1.0
"""Seconds: a shorter operation is remembered after its end only when it had stages or failed."""


class StageReport(msgspec.Struct, frozen=True):
    """A stage as it is or was. Seconds; `began` counts from the start of the operation; `depth` is the nesting."""

    name: str
    subject: str
    began: float
    took: float
    running: bool
    depth: int


class OperationReport(msgspec.Struct, frozen=True):
    """An operation as it is or was. `started_at` in Unix nanoseconds, `took` in seconds, `outcome` "" while running."""

    method: str
    ids: tuple[str, ...]
    started_at: int
    took: float
    running: bool
    outcome: str
    stages: tuple[StageReport, ...]


class _Stage:
    __slots__ = ("name", "subject", "began", "ended", "depth")

    def __init__(self, name: str, subject: str, depth: int) -> None:
        self.name, self.subject, self.depth = name, subject, depth
        self.began, self.ended = time.monotonic(), 0.0


class Operation:
    """One running operation; `ids` grows when the operation learns them (`concerns`)."""

    __slots__ = ("method", "ids", "started_at", "began", "ended", "outcome", "stages", "depth", "dropped")

    def __init__(self, method: str, ids: tuple[str, ...]) -> None:
        self.method, self.ids = method, list(dict.fromkeys(i for i in ids if i))
        self.started_at, self.began, self.ended = time.time_ns(), time.monotonic(), 0.0
        self.outcome, self.depth, self.dropped = "", 0, 0
        self.stages: list[_Stage] = []

    def report(self) -> OperationReport:
        """A copy that no longer changes."""
        now = self.ended or time.monotonic()
        stages = tuple(
            StageReport(s.name, s.subject, s.began - self.began, (s.ended or now) - s.began, not s.ended, s.depth)
            for s in tuple(self.stages)
        )
        running = not self.ended
        return OperationReport(
            self.method, tuple(self.ids), self.started_at, now - self.began, running, self.outcome, stages
        )


_current: ContextVar[Operation | None] = ContextVar("cricket_operation", default=None)
_numbers = itertools.count()
_running: dict[int, Operation] = {}
_finished: deque[Operation] = deque(maxlen=KEPT)


@contextlib.contextmanager
def operation(method: str, *ids: str) -> Iterator[Operation]:
    """Register an operation for the time of the block; its outcome is "ok" or the text of what was raised.

    A caller that translates its own errors sets `outcome` itself before the block ends.
    """
    op, number = Operation(method, ids), next(_numbers)
    _running[number] = op
    token = _current.set(op)
    try:
        yield op
    except BaseException as e:
        op.outcome = op.outcome or str(e) or type(e).__name__
        raise
    finally:
        _current.reset(token)
        del _running[number]
        op.ended = time.monotonic()
        op.outcome = op.outcome or "ok"
        if op.stages or op.outcome != "ok" or op.ended - op.began >= WORTH_KEEPING:
            _finished.append(op)


@contextlib.contextmanager
def stage(name: str, subject: str = "") -> Iterator[None]:
    """Say that the current operation is now doing `name` (to `subject`, an id or path). May be nested."""
    op = _current.get()
    if op is None:
        yield
        return
    entry = _Stage(name, subject, op.depth)
    if len(op.stages) < MAX_STAGES:
        op.stages.append(entry)
    else:
        op.dropped += 1
    op.depth += 1
    try:
        yield
    finally:
        op.depth -= 1
        entry.ended = time.monotonic()


def concerns(*ids: str) -> None:
    """Add ids that the current operation has just learned (a new sandbox's id), so that `why` finds it by them."""
    op = _current.get()
    if op is not None:
        op.ids.extend(i for i in ids if i and i not in op.ids)


def current() -> Operation | None:
    """The operation that the caller runs in."""
    return _current.get()


def reports(id_prefix: str = "", *, finished: bool = False) -> list[OperationReport]:
    """Running operations, oldest first, then with `finished` the last ones that ended; only those concerning the id.

    An operation concerns an id when one of its ids, or the subject of one of its stages, starts with `id_prefix`.
    """
    operations = [*_running.values(), *(_finished if finished else ())]
    return [op.report() for op in operations if _concerns(op, id_prefix)]


def _concerns(op: Operation, prefix: str) -> bool:
    if not prefix:
        return True
    return any(i.startswith(prefix) for i in op.ids) or any(s.subject.startswith(prefix) for s in tuple(op.stages))
