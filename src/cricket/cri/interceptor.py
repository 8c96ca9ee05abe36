"""What every call passes through: parsing, ownership, errors, log, metrics, stage tracking, size limits.

A servicer sees none of that. Bytes come in and go out raw, so that a malformed message is an InvalidArgument of ours
and cached bytes go out as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cricket.cri.methods import Kind, Message, Method, methods, subjects
from cricket.cri.outcome import Refusal, refusal_of
from cricket.cri.served import Route, Send
from cricket.errors import Code, InvalidArgument, ResourceExhausted
from cricket.types.metrics import Registry
from cricket.types.stage import Operation, operation

log = logging.getLogger("cricket.rpc")

SLOW = 5.0
"""Seconds after which the log line of a call names its longest stages."""

_QUIET = frozenset({Code.NOT_FOUND, Code.CANCELLED, Code.UNIMPLEMENTED})
"""Errors that belong to normal life: logged like a success."""

_CANCELLED = Refusal(Code.CANCELLED, "the call was cancelled")


class Interceptor:
    """Wraps servicer methods into routes."""

    def __init__(self, registry: Registry, message_limit: int) -> None:
        self._limit = message_limit
        self._streams: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._running: dict[tuple[str, ...], float] = {}
        self._total = registry.counter("cricket_operations_total", "Calls that ended, by method.", ["method"])
        self._errors = registry.counter(
            "cricket_operation_errors_total", "Calls that failed, by method and gRPC code.", ["method", "code"]
        )
        self._seconds = registry.histogram("cricket_operation_seconds", "Duration of calls, by method.", ["method"])
        self._abandoned = registry.counter(
            "cricket_operations_abandoned_total", "Verbs whose caller went away before they ended.", ["method"]
        )
        registry.gauge("cricket_operations_running", "Calls under way, by method.", lambda: self._running, ["method"])

    def service(self, module: Any, name: str, servicer: Callable[[str], Any]) -> dict[bytes, Route]:
        """The routes of a service by path; `servicer` gives the bound method of an RPC by name."""
        full_name = module.DESCRIPTOR.services_by_name[name].full_name
        serve: dict[Kind, Callable[[Method, Any], Any]] = {
            Kind.READ: self.read,
            Kind.WAIT: self.unary,
            Kind.VERB: self.unary,
            Kind.STREAM: self.stream,
        }
        return {
            f"/{full_name}/{m.name}".encode(): Route(
                m.kind, serve[m.kind](m, servicer(m.name)), functools.partial(self._deserted, m)
            )
            for m in methods(module, name)
        }

    def read(self, method: Method, call: Callable[[Message], Any]) -> Callable[[bytes], bytes | Refusal]:
        """How a question is served that memory answers."""

        def serve(data: bytes) -> bytes | Refusal:
            began, request = time.monotonic(), None
            outcome: bytes | Refusal
            try:
                request = _parse(method, data)
                outcome = self._pack(call(request))
            except Exception as e:
                outcome = refusal_of(e, method.name)
            self._account(method, request, outcome, time.monotonic() - began, None)
            return outcome

        return serve

    def unary(self, method: Method, call: Callable[[Message], Any]) -> Callable[[bytes], Awaitable[bytes | Refusal]]:
        """How any other RPC with one answer is served."""
        return lambda data: self._perform(method, call, data)

    def _deserted(self, method: Method) -> None:
        """The caller of a verb is gone; the verb goes on."""
        self._abandoned.inc(method.name)
        log.info("%s: the caller went away; the operation goes on", method.name)

    async def _perform(self, method: Method, call: Callable[[Message], Any], data: bytes) -> bytes | Refusal:
        """Parse, call, serialise; the outcome is counted and logged here and nowhere else."""
        began, request = time.monotonic(), None
        op: Operation | None = None
        outcome: bytes | Refusal = _CANCELLED
        self._count(method, 1)
        try:
            request = _parse(method, data)
            with operation(method.name, *subjects(request)) as op:
                outcome = self._pack(await call(request))
        except asyncio.CancelledError:
            # Somebody cancelled what the engine awaited, or this task: only the latter ends the call as it is.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        except Exception as e:
            outcome = refusal_of(e, method.name)
        finally:
            self._count(method, -1)
            self._account(method, request, outcome, time.monotonic() - began, op)
        return outcome

    def stream(
        self, method: Method, call: Callable[[Message], Any]
    ) -> Callable[[bytes, Send], Awaitable[Refusal | None]]:
        """How an RPC with a stream of answers is served."""

        async def serve(data: bytes, send: Send) -> Refusal | None:
            began = time.monotonic()
            task = asyncio.current_task()
            assert task is not None
            outcome: bytes | Refusal = _CANCELLED
            self._streams.add(task)
            self._count(method, 1)
            try:
                async with contextlib.aclosing(call(_parse(method, data))) as answers:
                    async for answer in answers:
                        await send(self._pack(answer))
                outcome = b""
            except asyncio.CancelledError:
                if not self._closing:
                    raise
                outcome = Refusal(Code.UNAVAILABLE, "the runtime is shutting down")
            except Exception as e:
                outcome = refusal_of(e, method.name)
            finally:
                self._streams.discard(task)
                self._count(method, -1)
                self._account(method, None, outcome, time.monotonic() - began, None)
            return outcome if isinstance(outcome, Refusal) else None

        return serve

    def close_streams(self) -> None:
        """End every stream with UNAVAILABLE; events have no other end."""
        self._closing = True
        for task in tuple(self._streams):
            task.cancel()

    def _pack(self, answer: Message | bytes) -> bytes:
        data: bytes = answer if isinstance(answer, bytes) else answer.SerializeToString()
        if len(data) > self._limit:
            raise ResourceExhausted(
                f"the answer of {len(data)} bytes is larger than a message may be ({self._limit})",
                todo="Filter the list, or use the streaming form of the call",
            )
        return data

    def _count(self, method: Method, by: int) -> None:
        key = (method.name,)
        self._running[key] = self._running.get(key, 0) + by

    def _account(
        self,
        method: Method,
        request: Message | None,
        outcome: bytes | Refusal,
        seconds: float,
        op: Operation | None,
    ) -> None:
        self._total.inc(method.name)
        if method.kind is not Kind.STREAM:
            self._seconds.observe(seconds, method.name)
        code, text, level = Code.OK, "", method.level
        if isinstance(outcome, Refusal):
            code, text = outcome
            self._errors.inc(method.name, code.name)
            level = level if code in _QUIET else logging.WARNING
        if log.isEnabledFor(level):
            about = () if request is None else subjects(request)
            extra = {"method": method.name, "ids": about, "code": code.name, "seconds": round(seconds, 6)}
            words = " ".join((method.name, *about))
            tail = (f": {text}" if text else "") + _slowest(op)
            log.log(level, "%s: %s in %.3f s%s", words, code.name, seconds, tail, extra=extra)


def _parse(method: Method, data: bytes) -> Message:
    try:
        return method.parse(data)
    except Exception as e:
        raise InvalidArgument(f"the bytes are no {method.name} request") from e


def _slowest(op: Operation | None) -> str:
    """The stages that took more than a tenth of a slow call."""
    if op is None or op.ended - op.began < SLOW:
        return ""
    report = op.report()
    long = [f"{s.name} {s.took:.1f} s" for s in report.stages if s.took > report.took / 10]
    return f"; stages: {', '.join(long)}" if long else ""
