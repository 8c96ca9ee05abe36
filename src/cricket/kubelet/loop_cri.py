"""CRI over grpc.aio: any method by its name, as the command line's client has it, without blocking the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from cricket.client.endpoint import CHANNEL_OPTIONS, probe, socket_path
from cricket.client.errors import RemoteError
from cricket.client.methods import find_method
from cricket.errors import Code

# A runtime that was restarted is to be found again at once; gRPC would wait for up to two minutes.
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000))
LIMIT = 120.0
"""Seconds for a call, as the kubelet's runtimeRequestTimeout."""


class Cri:
    """A connection to a runtime. Make it inside the loop. Raises UnreachableError when nobody listens."""

    def __init__(self, url: str) -> None:
        self.url, path = url, socket_path(url)
        probe(path)
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc

        self._error: type[Exception] = grpc.RpcError
        self.calls, self.failures = Counter[str](), Counter[str]()
        self._channel: Any = grpc.aio.insecure_channel(f"unix:{path}", options=(*CHANNEL_OPTIONS, *_RECONNECT))

    async def close(self) -> None:
        """Idempotent."""
        await self._channel.close()

    async def call(self, name: str, /, *, limit: float | None = LIMIT, **fields: Any) -> Any:
        """The response. Raises RemoteError with the runtime's code and words."""
        method = find_method(name)
        self.calls[name] += 1
        callable_ = self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        try:
            return await callable_(method.request(**fields), timeout=limit)
        except self._error as error:
            self.failures[name] += 1
            raise _translated(error, name) from None  # gRPC's repr of itself helps nobody

    async def whole(self, name: str, /, **fields: Any) -> Any:
        """As `call`, for what leaves something behind. Cancelled, it ends only when the runtime has answered: before,
        nobody knows what there is to be undone, and a runtime that is cancelled itself may leave things lying about."""
        work = asyncio.ensure_future(self.call(name, **fields))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            if not work.cancelled():
                work.exception()  # somebody has to look at it
            raise

    async def stream(self, name: str, /, **fields: Any) -> AsyncIterator[Any]:
        """The messages of a streaming method, without limit of time. Raises RemoteError."""
        method = find_method(name)
        callable_ = self._channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        call = callable_(method.request(**fields))
        try:
            async for message in call:
                yield message
        except self._error as error:
            raise _translated(error, name) from None
        finally:
            call.cancel()

    async def __aenter__(self) -> Cri:
        return self

    async def __aexit__(self, *error: object) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.close()


def _translated(error: Any, name: str) -> RemoteError:
    code = Code(error.code().value[0])
    words = error.details() or ""
    return RemoteError(code, words or f"the runtime answered {code.name}", where="" if words else name)
