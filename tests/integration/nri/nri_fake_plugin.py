"""A plugin for tests: registers, answers what it is asked by handlers, and remembers every call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from cricket._proto.nri import api_pb2 as api
from cricket._proto.nri import ttrpc_pb2
from cricket.nri.plain import from_plain, to_plain
from cricket.wire import nrimux, ttrpc

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
_ODD_RESPONSES = {"Shutdown": api.Empty, "StateChange": api.Empty}
_ODD_REQUESTS = {"Shutdown": api.Empty, "StateChange": api.StateChangeEvent}


class Refused(Exception):
    """A handler raises it to answer with an error: (code, message)."""


class FakePlugin:
    """Connect with `async with FakePlugin(path, "00", "name", handlers) as plugin`.

    `calls` holds (method, request) in order; `wait_for(method)` waits until such a call has been answered.
    """

    def __init__(
        self, path: str, index: str, name: str, handlers: dict[str, Handler] | None = None, events: int = 0
    ) -> None:
        self.path, self.index, self.name, self.events = path, index, name, events
        self.handlers = handlers or {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.closed = asyncio.Event()
        self._answered = asyncio.Condition()
        self._done: list[str] = []
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._next = 1
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakePlugin:
        await self.connect()
        await self.register()
        await self.wait_for("Synchronize")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_unix_connection(self.path)
        self._reading = asyncio.ensure_future(self._read())

    async def register(self) -> None:
        request = api.RegisterPluginRequest(plugin_name=self.name, plugin_idx=self.index, NRI_version="v0.12.0")
        await self.call("RegisterPlugin", request)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        for task in [*self._tasks, self._reading]:
            task.cancel()
        await asyncio.gather(*self._tasks, self._reading, return_exceptions=True)

    async def call(self, method: str, request: Any, service: str = "nri.pkg.api.v1alpha1.Runtime") -> Any:
        """Call the runtime; returns the ttrpc Response."""
        stream, self._next = self._next, self._next + 2
        answer = self._pending[stream] = asyncio.get_running_loop().create_future()
        envelope = ttrpc_pb2.Request(service=service, method=method, payload=request.SerializeToString())
        self.send(nrimux.RUNTIME, stream, ttrpc.Type.REQUEST, envelope.SerializeToString())
        return await asyncio.wait_for(answer, 10)

    def send(self, conn: int, stream: int, kind: ttrpc.Type, payload: bytes) -> None:
        self.writer.write(nrimux.frames(conn, ttrpc.encode(stream, kind, payload)))

    async def wait_for(self, method: str, count: int = 1) -> None:
        async with self._answered:
            ready = self._answered.wait_for(lambda: self._done.count(method) >= count)
            await asyncio.wait_for(ready, 10)

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def requests(self, method: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == method]

    async def _read(self) -> None:
        demux, asked, answers = nrimux.Demux(), ttrpc.Parser(), ttrpc.Parser()
        while data := await self.reader.read(65536):
            for conn, payload in demux.feed(data):
                if conn == nrimux.PLUGIN:
                    for message in asked.feed(payload):
                        task = asyncio.ensure_future(self._answer(message))
                        self._tasks.add(task)
                        task.add_done_callback(self._tasks.discard)
                else:
                    for message in answers.feed(payload):
                        self._pending.pop(message.stream).set_result(ttrpc_pb2.Response.FromString(message.payload))
        self.closed.set()

    async def _answer(self, message: ttrpc.Message) -> None:
        request = ttrpc_pb2.Request.FromString(message.payload)
        method = request.method
        kind = _ODD_REQUESTS.get(method) or getattr(api, f"{method}Request")
        value = to_plain(kind.FromString(request.payload))
        self.calls.append((method, value))
        response = ttrpc_pb2.Response()
        try:
            handler = self.handlers.get(method)
            answer = await handler(value) if handler else self._default(method, value)
            if isinstance(answer, bytes):
                response.payload = answer
            else:
                response_kind = _ODD_RESPONSES.get(method) or getattr(api, f"{method}Response")
                response.payload = from_plain(response_kind, answer).SerializeToString()
        except Refused as e:
            response.status.code, response.status.message = e.args
        self.send(nrimux.PLUGIN, message.stream, ttrpc.Type.RESPONSE, response.SerializeToString())
        async with self._answered:
            self._done.append(method)
            self._answered.notify_all()

    def _default(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        if method == "Configure":
            return {"events": self.events}
        if method == "Synchronize":
            return {"more": request.get("more", False)}
        return {}
