"""A client of CRI for tests: any method by its name, plain dicts in, protobuf messages out, errors with their code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

# gRPC's own threads complain on stderr about a daemon that was killed, which is what tests do.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # noqa: E402  (reads the environment when imported)

from cricket._proto.cri import api_pb2  # noqa: E402

_SERVICES = ("RuntimeService", "ImageService")


class CriError(Exception):
    """What the runtime answered: `code` is the name of a gRPC code ("NOT_FOUND"), `text` the message."""

    def __init__(self, method: str, code: str, text: str) -> None:
        super().__init__(f"{method}: {code}: {text}")
        self.method, self.code, self.text = method, code, text


class Cri:
    """One connection.

    cri.call("RunPodSandbox", config={...}).pod_sandbox_id
    with contextlib.closing(cri.stream("GetContainerEvents")) as events: ...
    """

    def __init__(self, socket_path: str) -> None:
        options = [
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.default_authority", "localhost"),
            # Else a connection to a daemon that was killed, with its error and back-off, is shared with the next one's.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self.channel = grpc.insecure_channel(f"unix:{socket_path}", options=options)

    def close(self) -> None:
        """Idempotent."""
        self.channel.close()

    def call(self, method: str, /, *, within: float = 60.0, **fields: Any) -> Any:
        """The response. Raises CriError; after `within` seconds, DEADLINE_EXCEEDED."""
        return self.send(method, message(method, **fields), within=within)

    def send(self, method: str, request: Any, *, within: float = 60.0) -> Any:
        """As `call`, with a request message, or with bytes that may be none."""
        path, _, response = _method(method)
        stub = self.channel.unary_unary(path, request_serializer=_bytes, response_deserializer=response.FromString)
        try:
            return stub(request, timeout=within)
        except grpc.RpcError as error:
            raise CriError(method, error.code().name, error.details() or "") from None

    def start(self, method: str, /, *, within: float = 60.0, **fields: Any) -> Any:
        """As `call`, without waiting: a grpc.Future, whose `result()` raises grpc.RpcError. Dropping it cancels."""
        path, _, response = _method(method)
        stub = self.channel.unary_unary(path, request_serializer=_bytes, response_deserializer=response.FromString)
        return stub.future(message(method, **fields), timeout=within)

    def stream(self, method: str, /, *, within: float = 60.0, **fields: Any) -> Iterator[Any]:
        """The messages of a streaming method; close the iterator to end the call. Raises CriError."""
        path, _, response = _method(method)
        stub = self.channel.unary_stream(path, request_serializer=_bytes, response_deserializer=response.FromString)
        call = stub(message(method, **fields), timeout=within)
        try:
            yield from call
        except grpc.RpcError as error:
            raise CriError(method, error.code().name, error.details() or "") from None
        finally:
            call.cancel()


def message(method: str, /, **fields: Any) -> Any:
    """The request of a method with these fields."""
    return _method(method)[1](**fields)


def _bytes(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def _method(name: str) -> tuple[str, Any, Any]:
    for service in _SERVICES:
        found = api_pb2.DESCRIPTOR.services_by_name[service].methods_by_name.get(name)
        if found is not None:
            request, response = getattr(api_pb2, found.input_type.name), getattr(api_pb2, found.output_type.name)
            return f"/{api_pb2.DESCRIPTOR.package}.{service}/{name}", request, response
    raise LookupError(f"CRI has no method {name}")
