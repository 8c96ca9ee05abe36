"""The answer to a call without gRPC, with its bytes cut anywhere; protobuf's fields."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket._proto.cri import api_pb2 as pb
from cricket.client import light
from cricket.client.light import NoAnswer, Reader


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def answer(message: bytes) -> bytes:
    """What a server may send: settings, a ping, headers, data in two frames (one padded), trailers."""
    body = b"\0" + struct.pack(">I", len(message)) + message
    half = len(body) // 2
    return b"".join(
        (
            frame(4, 0, 0, struct.pack(">HI", 3, 100)),
            frame(4, 1, 0, b""),
            frame(6, 0, 0, b"pingpong"),
            frame(1, 4, 1, b"\x88"),
            frame(0, 8, 1, b"\x03" + body[:half] + b"\0\0\0"),
            frame(8, 0, 0, struct.pack(">I", 9)),
            frame(0, 0, 1, body[half:]),
            frame(1, 5, 1, b"\x88"),
        )
    )


@given(st.binary(max_size=40), st.lists(st.integers(1, 30), max_size=20))
def test_an_answer_however_it_is_cut(message: bytes, cuts: list[int]) -> None:
    data, reader, replies = answer(message), Reader(), b""
    ends = [*itertools.accumulate(cuts), len(data)]
    start = 0
    for end in ends:
        replies += reader.feed(data[start:end])
        start = max(start, end)
    assert reader.done and reader.message() == message
    assert replies == frame(4, 1, 0, b"") + frame(6, 1, 0, b"pingpong")


@pytest.mark.parametrize(
    "data",
    [
        frame(3, 0, 1, struct.pack(">I", 7)),
        frame(7, 0, 0, bytes(8)),
        frame(1, 5, 1, b"\x88"),  # trailers only: the call failed
        frame(0, 1, 1, b"\0\0\0\0\x09short"),
        frame(0, 1, 1, b"\x01\0\0\0\0"),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    reader = Reader()
    with pytest.raises(NoAnswer):
        reader.feed(data)
        assert reader.done
        reader.message()


def test_too_much_is_refused() -> None:
    reader, chunk = Reader(), frame(0, 0, 1, bytes(1 << 22))
    with pytest.raises(NoAnswer, match="too large"):
        for _ in range(9):
            reader.feed(chunk)


def test_fields_of_a_message() -> None:
    container = pb.Container(
        id="c1", metadata=pb.ContainerMetadata(name="web"), state=1, created_at=-5, labels={"a": "b"}
    )
    message = pb.ListContainersResponse(containers=[container, pb.Container(id="ü")]).SerializeToString()
    first, second = light.each(message, 1)
    assert (light.text(first, 1), light.text(first, 3, 1), light.number(first, 6)) == ("c1", "web", 1)
    assert light.number(first, 7) == (1 << 64) - 5
    assert [light.text(entry, 2) for entry in light.each(first, 8)] == ["b"]
    assert (light.text(second, 1), light.text(second, 3, 1), light.number(second, 6)) == ("ü", "", 0)


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_no_answer(data: bytes) -> None:
    try:
        for _, value in light.fields(data):
            assert isinstance(value, int | bytes)
    except NoAnswer:
        pass


def test_nobody_listens() -> None:
    with pytest.raises(NoAnswer):
        light.ask("/nonexistent/x.sock", "/runtime.v1.RuntimeService/Version", 0.1)
