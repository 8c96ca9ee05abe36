"""A gRPC client by hand, which may do what no library does."""

from __future__ import annotations

import asyncio

import hpack

from cricket.wire import http2_frames as f
from cricket.wire.grpc_messages import framed
from cricket.wire.http2_frames import Reason, Setting, Type


class Raw:
    """One connection. It reads only when it is asked for a frame."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        window: int = f.DEFAULT_WINDOW,
        settings: dict[Setting, int] | None = None,
    ) -> None:
        self.reader, self.writer, self.encoder, self.decoder = reader, writer, hpack.Encoder(), hpack.Decoder()
        writer.write(f.PREFACE + f.settings({Setting.INITIAL_WINDOW_SIZE: window} | (settings or {})))

    def headers(self, stream: int, method: str, flags: int = 0, **headers: str) -> bytes:
        """The frame that opens a stream for a method like "RuntimeService/Version"."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", f"/runtime.v1.{method}"),
            ("content-type", "application/grpc"),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        return f.frame(Type.HEADERS, flags | f.END_HEADERS, stream, bytes(self.encoder.encode(fields)))

    def call(self, stream: int, method: str, request: bytes = b"", **headers: str) -> None:
        """Send a whole request."""
        head = self.headers(stream, method, **headers)
        self.writer.write(head + f.frame(Type.DATA, f.END_STREAM, stream, framed(request)))

    async def frame(self, *kinds: Type) -> tuple[int, int, bytes]:
        """Type, stream and payload of the next frame of these kinds."""
        async with asyncio.timeout(5):
            while True:
                length, kind, _, stream = f.head(await self.reader.readexactly(9), 0)
                payload = await self.reader.readexactly(length)
                if kind in kinds:
                    return kind, stream, payload

    async def outcome(self) -> tuple[int, str, str]:
        """Stream, grpc-status and grpc-message of the next trailers."""
        while True:
            _, stream, payload = await self.frame(Type.HEADERS)
            fields = dict(self.decoder.decode(payload))
            if "grpc-status" in fields:
                return stream, str(fields["grpc-status"]), str(fields.get("grpc-message", ""))

    async def status(self) -> str:
        """grpc-status of the next trailers."""
        return (await self.outcome())[1]

    async def farewell(self) -> Reason:
        """What GOAWAY gives as the reason; the connection has to end after it."""
        _, _, payload = await self.frame(Type.GOAWAY)
        async with asyncio.timeout(5):
            assert await self.reader.read() == b""
        return Reason(int.from_bytes(payload[4:8], "big"))
