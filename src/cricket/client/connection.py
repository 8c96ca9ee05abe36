"""A thin client of CRI and of Cricket's side service, over gRPC on a unix socket.

    with Client("unix:///run/cricket/cricket.sock") as client:
        print(client.call("Version").runtime_name)

Methods are called by their names in the protos; requests are built from keyword arguments. Protobuf is imported with
the first of them: `raw` does without.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from cricket.client.endpoint import LARGEST_REQUEST, probe, socket_path
from cricket.client.errors import RemoteError
from cricket.client.transport import CallError, Exchange, Transport
from cricket.errors import Code

if TYPE_CHECKING:
    from cricket.client.methods import Method

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
    """A connection for any number of threads; a context manager. Raises EndpointError for an endpoint that is none,
    UnreachableError at once when nobody listens, RemoteError for what the runtime answers.

    When the runtime has closed the connection, the next call makes another one.
    """

    def __init__(self, url: str, timeout: float | None = None) -> None:
        """`timeout` in seconds replaces the limits of all calls; 0 means none."""
        self.endpoint, self._timeout = url, timeout
        self.path = socket_path(url)
        self._lock, self._closed = threading.Lock(), False
        self._transport = self._connect()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            self._transport.close()

    def call(self, name: str, /, **fields: Any) -> Any:
        """Call a method with a request of these fields; returns the response."""
        return self.start(name, **fields).result()

    def start(self, name: str, /, **fields: Any) -> Pending:
        """Like `call`, but without waiting."""
        method, limit, began = _method(name), self._limit(name), time.monotonic()
        request = method.request(**fields).SerializeToString()
        return Pending(self, method, limit, began, self._begin(method.path, request, limit))

    def raw(self, path: str, request: bytes = b"") -> bytes:
        """The answer of the method at a path like "/runtime.v1.RuntimeService/Version", as it is on the wire."""
        limit, began = self._timeout or QUICK, time.monotonic()
        try:
            return self._begin(path, request, limit).answer()
        except CallError as error:
            self.refuse(error, path.rpartition("/")[2], limit, began)

    @contextlib.contextmanager
    def stream(self, name: str, /, **fields: Any) -> Iterator[Iterator[Any]]:
        """The messages of a streaming method; leaving the block ends the call. Without limit of time."""
        method = _method(name)
        exchange = self._begin(method.path, method.request(**fields).SerializeToString(), None, many=True)
        try:
            yield self._messages(method, exchange)
        finally:
            exchange.cancel()

    def _messages(self, method: Method, exchange: Exchange) -> Iterator[Any]:
        try:
            while (message := exchange.next()) is not None:
                yield method.response.FromString(message)
        except CallError as error:
            self.refuse(error, method.name, None, 0.0)

    def _limit(self, name: str) -> float | None:
        if self._timeout is not None:
            return self._timeout or None
        return None if name in _WORK else QUICK

    def _connect(self) -> Transport:
        return Transport(self.path, min(self._timeout or QUICK, QUICK))

    def _begin(self, path: str, request: bytes, limit: float | None, *, many: bool = False) -> Exchange:
        if len(request) > LARGEST_REQUEST:
            words = f"the request has {len(request)} bytes; more than {LARGEST_REQUEST} are not sent"
            raise RemoteError(Code.RESOURCE_EXHAUSTED, words)
        with self._lock:
            if self._closed:
                raise RemoteError(Code.CANCELLED, "the client is closed")
            exchange = self._transport.begin(path.encode(), request, limit, many=many)
            if exchange is None:
                self._transport = self._connect()
                exchange = self._transport.begin(path.encode(), request, limit, many=many)
        if exchange is None:
            raise RemoteError(Code.UNAVAILABLE, "the runtime takes no calls", where=self.endpoint)
        return exchange

    def refuse(self, error: CallError, name: str, limit: float | None, began: float) -> NoReturn:
        """Raise the outcome of a call as an error for people: RemoteError, or UnreachableError with the reason why
        nobody answers any more."""
        code, words = error.outcome
        if code is Code.UNAVAILABLE:
            probe(self.path)
        if code is Code.DEADLINE_EXCEEDED and limit is not None and time.monotonic() - began >= limit:
            todo = "`cricket why` tells what it is doing; --timeout gives it longer"
            raise RemoteError(code, f"no answer within {limit:g} s", where=name, todo=todo) from None
        if code is Code.UNIMPLEMENTED and not _in_cri(name):
            todo = "it is for Cricket's own daemon"
            raise RemoteError(code, "this runtime cannot do that", where=name, todo=todo) from None
        if code is Code.UNIMPLEMENTED and name in _EVERYWHERE:
            todo = "in containerd the cri plugin may be disabled: see disabled_plugins of its configuration"
            raise RemoteError(code, "what answers does not speak CRI v1", where=self.endpoint, todo=todo) from None
        raise RemoteError(code, words or f"the runtime answered {code.name}", where="" if words else name) from None


class Pending:
    """A call under way."""

    def __init__(self, client: Client, method: Method, limit: float | None, began: float, exchange: Exchange) -> None:
        self._client, self._method, self._limit, self._began = client, method, limit, began
        self._exchange = exchange

    def done(self) -> bool:
        """Whether it has ended."""
        return self._exchange.done()

    def when_done(self, tell: Callable[[], object]) -> None:
        """Call this, in another thread, as soon as it has ended."""

        def wait() -> None:
            with contextlib.suppress(CallError):
                self._exchange.answer()
            tell()

        threading.Thread(target=wait, daemon=True).start()

    def cancel(self) -> None:
        """Give it up. Idempotent; one that has ended stays as it is."""
        self._exchange.cancel()

    def result(self) -> Any:
        """Wait for the response; an interrupted wait cancels the call."""
        try:
            return self._method.response.FromString(self._exchange.answer())
        except CallError as error:
            self._client.refuse(error, self._method.name, self._limit, self._began)


def _method(name: str) -> Method:
    from cricket.client.methods import find_method

    return find_method(name)


def _in_cri(name: str) -> bool:
    from cricket._proto.cri import api_pb2

    return hasattr(api_pb2, f"{name}Request")
