"""A thin client of CRI and of Cricket's side service, over gRPC on a unix socket.

    with Client("unix:///run/cricket/cricket.sock") as client:
        print(client.call("Version").runtime_name)

Methods are called by their names in the protos; requests are built from keyword arguments.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.client.endpoint import CHANNEL_OPTIONS, probe, socket_path
from cricket.client.errors import RemoteError, UnreachableError
from cricket.client.methods import Method, find_method
from cricket.errors import Code

QUICK = 30.0
"""Seconds for questions: a runtime answers them from memory."""

_WORK = frozenset(
    [
        "RunPodSandbox",
        "StopPodSandbox",
        "RemovePodSandbox",
        "CreateContainer",
        "StartContainer",
        "StopContainer",
        "RemoveContainer",
        "UpdateContainerResources",
        "CheckpointContainer",
        "ExecSync",
        "PullImage",
        "RemoveImage",
        "LoadImage",
        "SaveImage",
        "ImportImage",
        "CheckImages",
    ]
)

# What every runtime can do. (A socket of containerd's answers also when its part for CRI is switched off.)
_EVERYWHERE = frozenset(["Version", "Status", "ListContainers", "ListPodSandbox", "ListImages"])


class Client:
    """A connection; a context manager. Raises EndpointError for an endpoint that is none, UnreachableError at once when
    nobody listens, RemoteError for what the runtime answers."""

    def __init__(self, url: str, timeout: float | None = None) -> None:
        """`timeout` in seconds replaces the limits of all calls; 0 means none."""
        self.endpoint, self._timeout = url, timeout
        self.path = socket_path(url)
        probe(self.path)
        # Their own threads' complaints about the socket would come on top of our line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc

        self.error: type[Exception] = grpc.RpcError
        self._channel: Any = grpc.insecure_channel(f"unix:{self.path}", options=CHANNEL_OPTIONS)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, name: str, /, **fields: Any) -> Any:
        """Call a method with a request of these fields; returns the response."""
        method, limit, began = find_method(name), self._limit(name), time.monotonic()
        with self._translated(name, limit, began):
            return self._callable(method)(method.request(**fields), timeout=limit)

    def start(self, name: str, /, **fields: Any) -> Pending:
        """Like `call`, but without waiting."""
        method, limit, began = find_method(name), self._limit(name), time.monotonic()
        return Pending(self, name, limit, began, self._callable(method).future(method.request(**fields), timeout=limit))

    @contextlib.contextmanager
    def stream(self, name: str, /, **fields: Any) -> Iterator[Iterator[Any]]:
        """The messages of a streaming method; leaving the block ends the call. Without limit of time."""
        method = find_method(name)
        with self._translated(name, None, 0.0):
            call = self._callable(method)(method.request(**fields))
            try:
                yield call
            finally:
                call.cancel()

    def _limit(self, name: str) -> float | None:
        if self._timeout is not None:
            return self._timeout or None
        return None if name in _WORK else QUICK

    def _callable(self, method: Method) -> Any:
        make = self._channel.unary_stream if method.streams else self._channel.unary_unary
        return make(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )

    @contextlib.contextmanager
    def _translated(self, name: str, limit: float | None, began: float) -> Iterator[None]:
        try:
            yield
        except self.error as error:
            raise self.translate(error, name, limit, began) from None  # gRPC's repr of itself helps nobody

    def translate(self, error: Any, name: str, limit: float | None, began: float) -> RemoteError | UnreachableError:
        """A gRPC error as ours."""
        code = Code(error.code().value[0])
        if code is Code.UNAVAILABLE:
            try:
                probe(self.path)
            except UnreachableError as gone:
                return gone
        if code is Code.DEADLINE_EXCEEDED and limit is not None and time.monotonic() - began >= limit:
            todo = "`cricket why` tells what it is doing; --timeout gives it longer"
            return RemoteError(code, f"no answer within {limit:g} s", where=name, todo=todo)
        if code is Code.UNIMPLEMENTED and not hasattr(api_pb2, f"{name}Request"):
            return RemoteError(code, "this runtime cannot do that", where=name, todo="it is for Cricket's own daemon")
        if code is Code.UNIMPLEMENTED and name in _EVERYWHERE:
            todo = "in containerd the cri plugin may be disabled: see disabled_plugins of its configuration"
            return RemoteError(code, "what answers does not speak CRI v1", where=self.endpoint, todo=todo)
        words = error.details() or ""
        return RemoteError(code, words or f"the runtime answered {code.name}", where="" if words else name)


class Pending:
    """A call under way."""

    def __init__(self, client: Client, name: str, limit: float | None, began: float, future: Any) -> None:
        self._client, self._name, self._limit, self._began, self._future = client, name, limit, began, future

    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._future.done())

    def when_done(self, tell: Callable[[], object]) -> None:
        """Call `tell` when it has ended, from another thread; at once if it has."""
        self._future.add_done_callback(lambda future: tell())

    def cancel(self) -> None:
        """Give it up; the runtime hears of it. Idempotent."""
        self._future.cancel()

    def result(self) -> Any:
        """Wait for the response; an interrupted wait cancels the call."""
        try:
            return self._future.result()
        except BaseException as error:
            self._future.cancel()
            if isinstance(error, self._client.error):
                raise self._client.translate(error, self._name, self._limit, self._began) from None
            raise
