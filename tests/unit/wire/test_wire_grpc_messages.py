"""gRPC's use of HTTP/2: messages, time limits, statuses."""

from __future__ import annotations

import gzip
import zlib

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire.grpc_messages import Reader, Refused, call_of

HEADERS = {b":method": b"POST", b":path": b"/s/M", b"content-type": b"application/grpc+proto"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"30S", 30), (b"1500m", 1.5), (b"20u", 2e-5), (b"99999999n", 0.099999999)],
)
def test_time_limits(text: bytes, seconds: float) -> None:
    assert call_of({**HEADERS, b"grpc-timeout": text}).timeout == pytest.approx(seconds)


def test_a_call() -> None:
    assert call_of(HEADERS) == grpc.Call(b"/s/M", None, b"identity")
    for wrong in ({b":method": b"GET"}, {b"content-type": b"text/html"}, {b"grpc-timeout": b"1"}):
        with pytest.raises(Refused):
            call_of({**HEADERS, **wrong})


@given(st.text(max_size=500), st.sampled_from(Code))
def test_a_status_arrives_as_it_was(text: str, code: Code) -> None:
    fields = dict(hpack.Decoder().decode(grpc.trailers(code, text)))
    assert fields["grpc-status"] == str(code.value)
    from urllib.parse import unquote

    words = fields.get("grpc-message", "")
    assert words.isascii() and words.isprintable() and unquote(words) == text


def test_the_headers_of_an_answer() -> None:
    assert hpack.Decoder().decode(grpc.HEADERS + grpc.OK) == [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "0"),
    ]


def gathered(body: bytes, limit: int = 100, encoding: bytes = b"identity", step: int = 7) -> bytes:
    reader = Reader(limit, encoding)
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    return reader.message()


def packed(data: bytes) -> bytes:
    return b"\1" + len(data).to_bytes(4, "big") + data


def test_messages() -> None:
    assert gathered(grpc.framed(b"x" * 100)) == b"x" * 100
    assert gathered(grpc.framed(b"")) == b""
    for encoding, pack in ((b"gzip", gzip.compress), (b"deflate", zlib.compress)):
        assert gathered(packed(pack(b"y" * 90)), encoding=encoding) == b"y" * 90


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (b"", b"identity", Code.INTERNAL),
        (b"\0\0\0\0\2x", b"identity", Code.INTERNAL),
        (grpc.framed(b"one") * 2, b"identity", Code.INTERNAL),
        (grpc.framed(bytes(101)), b"identity", Code.RESOURCE_EXHAUSTED),
        (packed(b"zzz"), b"snappy", Code.UNIMPLEMENTED),
        (packed(b"zzz"), b"gzip", Code.INTERNAL),
        # A small bomb, and one that is cut off.
        (packed(gzip.compress(bytes(10_000))), b"gzip", Code.RESOURCE_EXHAUSTED),
        (packed(gzip.compress(b"abc")[:-4]), b"gzip", Code.RESOURCE_EXHAUSTED),
    ],
)
def test_bodies_that_are_no_message(body: bytes, encoding: bytes, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        gathered(body, encoding=encoding)
    assert caught.value.code is code
