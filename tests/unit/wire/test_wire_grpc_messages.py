"""gRPC's use of HTTP/2: messages, time limits, statuses."""

from __future__ import annotations

import gzip
import zlib
from urllib.parse import unquote

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire.grpc_messages import NotGrpc, Reader, Refused, call_of

HEADERS = {b":method": b"POST", b":path": b"/s/M", b"content-type": b"application/grpc+proto"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"30S", 30), (b"1500m", 1.5), (b"20u", 2e-5), (b"99999999n", 0.099999999)],
)
def test_time_limits(text: bytes, seconds: float) -> None:
    assert call_of({**HEADERS, b"grpc-timeout": text}).timeout == pytest.approx(seconds)


def test_a_call() -> None:
    assert call_of(HEADERS) == grpc.Call(b"/s/M", None, b"identity")
    with pytest.raises(Refused):
        call_of({**HEADERS, b"grpc-timeout": b"1"})
    for wrong in ({b":method": b"GET"}, {b"content-type": b"text/html"}, {b"content-type": b"application/grpc-web"}):
        with pytest.raises(NotGrpc):
            call_of({**HEADERS, **wrong})
    for right in (b"application/grpc", b"application/grpc;charset=utf-8"):
        assert call_of({**HEADERS, b"content-type": right}).path == b"/s/M"


@given(st.text(max_size=500), st.sampled_from(Code))
def test_a_status_arrives_as_it_was(text: str, code: Code) -> None:
    fields = dict(hpack.Decoder().decode(grpc.trailers(code, text)))
    assert fields["grpc-status"] == str(code.value)
    words = fields.get("grpc-message", "")
    assert words.isascii() and words.isprintable() and len(words) <= grpc.TEXT_LIMIT
    assert unquote(words) == text or (unquote(words)[-1] == "…" and text.startswith(unquote(words)[:-1]))


@pytest.mark.parametrize("text", ["x" * 10_000, "三" * 2000, "%" * 3000, "a三" * 1000])
@pytest.mark.parametrize("limit", [0, 260, 300, 1000, 1 << 30])
def test_a_status_is_cut_to_what_clients_take(text: str, limit: int) -> None:
    fields = hpack.Decoder().decode(grpc.trailers(Code.UNKNOWN, text, limit))
    if limit >= 256:
        assert sum(len(name) + len(value) + 32 for name, value in fields) <= min(limit, 4096 + 256)
    words = dict(fields).get("grpc-message", "")
    assert limit < 300 or (words.endswith("%E2%80%A6") and text.startswith(unquote(words)[:-1]))
    assert limit < 1000 or len(words) > min(limit, 4096) - 270


def test_a_file_name_that_is_no_text_can_be_told() -> None:
    assert dict(hpack.Decoder().decode(grpc.trailers(Code.UNKNOWN, "bad\udcff")))["grpc-message"] == "bad?"


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
        (packed(gzip.compress(b"abc")[:-4]), b"gzip", Code.INTERNAL),
        (packed(gzip.compress(bytes(101))), b"gzip", Code.RESOURCE_EXHAUSTED),
        (packed(b"zzz"), b"identity", Code.INTERNAL),
        (b"\2" + grpc.framed(b"zzz")[1:], b"gzip", Code.INTERNAL),
    ],
)
def test_bodies_that_are_no_message(body: bytes, encoding: bytes, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        gathered(body, encoding=encoding)
    assert caught.value.code is code
