"""A call over gRPC as its caller sees it (sans I/O; "gRPC over HTTP2" of the gRPC project): its headers, the messages
of the answer, and the status."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from cricket.errors import Code
from cricket.wire.grpc_messages import HEADERS, OK, PREFIX, unquoted
from cricket.wire.http2_frames import Reason

_REQUEST = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    # Servers in Go refuse one that is made of a socket's path.
    (b":authority", b"localhost"),
)
_FIELDS = (
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"cricket"),
)
_LONGEST = 99_999_999  # what a time limit has digits for

KNOWN_BLOCKS: Mapping[bytes, dict[bytes, bytes]] = {
    HEADERS: {b":status": b"200", b"content-type": b"application/grpc"},
    OK: {b"grpc-status": b"0"},
}
"""What our own server says. These blocks are literals and mean the same in any state of a connection: whoever only gets
them does not have to import `hpack`."""

# What an answer means that does not come from gRPC: "HTTP to gRPC Status Code Mapping" of the gRPC project.
_OF_HTTP = {
    b"400": Code.INTERNAL,
    b"401": Code.UNAUTHENTICATED,
    b"403": Code.PERMISSION_DENIED,
    b"404": Code.UNIMPLEMENTED,
    **dict.fromkeys((b"429", b"502", b"503", b"504"), Code.UNAVAILABLE),
}
_OF_RESET: dict[int, Code] = {
    Reason.REFUSED_STREAM: Code.UNAVAILABLE,
    Reason.CANCEL: Code.CANCELLED,
    Reason.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
}


def request_headers(path: bytes, limit: float | None) -> list[tuple[bytes, bytes]]:
    """The headers of a call of the method at `path`, which has `limit` seconds."""
    fields = [*_REQUEST, (b":path", path), *_FIELDS]
    if limit is not None:
        fields.append((b"grpc-timeout", _timeout(limit)))
    return fields


def _timeout(limit: float) -> bytes:
    """Rounded up, so that the server never gives up before the caller does."""
    milliseconds = math.ceil(max(limit, 0) * 1000)
    if milliseconds <= _LONGEST:
        return b"%dm" % milliseconds
    return b"%dS" % min(math.ceil(limit), _LONGEST)


class Outcome(NamedTuple):
    """How a call has ended; `words` are the runtime's own, "" when it had none."""

    code: Code
    words: str


class Answers:
    """Gathers what comes back: take `messages` from the left; `outcome` is there when no more will come."""

    __slots__ = ("messages", "outcome", "_limit", "_parts", "_size", "_need", "_begun")

    def __init__(self, limit: int) -> None:
        """`limit` of one message in bytes."""
        self.messages: deque[bytes] = deque()
        self.outcome: Outcome | None = None
        self._limit = limit
        self._parts: list[bytes] = []
        self._size, self._need = 0, PREFIX
        self._begun = False

    def headers(self, fields: Mapping[bytes, bytes], end: bool) -> None:
        """The headers of the answer, or its trailers."""
        if not self._begun:
            status = fields.get(b":status", b"")
            if status.startswith(b"1"):
                return
            self._begun = True
            kind = fields.get(b"content-type", b"")
            if b"grpc-status" not in fields and (status != b"200" or not kind.startswith(b"application/grpc")):
                words = f"the answer is none of gRPC's, but of HTTP: {status.decode('ascii', 'replace')}"
                self.outcome = Outcome(_OF_HTTP.get(status, Code.UNKNOWN), words)
                return
        if end:
            self._finish(fields)

    def _finish(self, trailers: Mapping[bytes, bytes]) -> None:
        status = trailers.get(b"grpc-status")
        if status is None:
            self.outcome = Outcome(Code.UNKNOWN, "the answer has no status")
            return
        try:
            code = Code(int(status))
        except ValueError:
            code = Code.UNKNOWN
        if code is Code.OK and self._size:
            self.outcome = Outcome(Code.INTERNAL, "the answer ends in the middle of a message")
        else:
            self.outcome = Outcome(code, unquoted(trailers.get(b"grpc-message", b"")))

    def data(self, data: bytes, end: bool) -> None:
        """Bytes of the answer. An outcome of these is a fault of the server's: the stream has to be given up."""
        self._parts.append(data)
        self._size += len(data)
        while self._size >= self._need:
            whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = [whole]
            if self._need == PREFIX:
                self._need += int.from_bytes(whole[1:PREFIX], "big")
                if not self._acceptable(whole[0]):
                    return
            if self._size >= self._need:
                self.messages.append(whole[PREFIX : self._need])
                rest = whole[self._need :]
                self._parts, self._size, self._need = ([rest] if rest else []), len(rest), PREFIX
        if end:
            self.outcome = Outcome(Code.INTERNAL, "the answer has no status")

    def _acceptable(self, compressed: int) -> bool:
        if compressed:  # nobody said that we would take this
            self.outcome = Outcome(Code.INTERNAL, "the answer is compressed")
        elif self._need - PREFIX > self._limit:
            words = f"the answer has {self._need - PREFIX} bytes; more than {self._limit} are not taken"
            self.outcome = Outcome(Code.RESOURCE_EXHAUSTED, words)
        return self.outcome is None

    def refused(self, reason: int) -> None:
        """The server gave the call up."""
        try:
            words = Reason(reason).name
        except ValueError:
            words = f"reason {reason}"
        self.outcome = Outcome(_OF_RESET.get(reason, Code.INTERNAL), f"the runtime gave the call up ({words})")
