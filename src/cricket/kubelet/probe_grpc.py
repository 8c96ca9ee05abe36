"""grpc.health.v1.Health/Check, whose messages are one field each: no generated code is needed for them."""

from __future__ import annotations

from typing import Any

SERVING = 1
STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_METHOD = "/grpc.health.v1.Health/Check"


def encode(service: str) -> bytes:
    """HealthCheckRequest: field 1, a string."""
    data = service.encode()
    return b"\x0a" + _varint(len(data)) + data if data else b""


def decode(message: bytes) -> int:
    """The status of a HealthCheckResponse: field 1, an enum; 0 when it is not there. Raises ValueError."""
    status, at = 0, 0
    while at < len(message):
        tag, at = _read(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read(message, at)
            status = value if tag >> 3 == 1 else status
        elif kind == 2:
            length, at = _read(message, at)
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("not a protobuf message")
    return status


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("the message is cut off")
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


async def check(host: str, port: int, service: str, limit: float) -> tuple[bool, str]:
    """Ask once; whether it serves, and the kubelet's words when not."""
    import grpc

    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    channel: Any = grpc.aio.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),))
    try:
        call = channel.unary_unary(_METHOD, request_serializer=encode, response_deserializer=decode)
        # As the kubelet's: one that is not there yet may come within the limit, and then the words are those of time.
        status = await call(service, timeout=limit, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        code = error.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return False, "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return False, f'timeout: failed to connect service "{address}" within {limit:g}s: context deadline exceeded'
        return False, f"error: health rpc probe failed: {error.details()}"
    finally:
        await channel.close()
    return status == SERVING, f'service unhealthy (responded with "{STATUS.get(status, status)}")'
