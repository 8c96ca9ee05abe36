"""The NRI multiplexer and ttrpc frames under arbitrary chunking."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import InvalidArgument, ResourceExhausted
from cricket.wire import nrimux, ttrpc

u32 = st.integers(0, 2**32 - 1)
payloads = st.one_of(st.binary(max_size=40), st.integers(4000, 9000).map(lambda n: b"x" * n))
cuts = st.lists(st.integers(0, 40_000), max_size=12)


def chunks(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(min(c, len(data)) for c in at)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 77]), payloads), max_size=6), cuts)
def test_mux_gives_each_stream_its_bytes_in_order(sent: list[tuple[int, bytes]], at: list[int]) -> None:
    wire = b"".join(nrimux.frames(stream, payload) for stream, payload in sent)
    demux, got = nrimux.Demux(), {1: b"", 2: b"", 77: b""}
    for chunk in chunks(wire, at):
        for stream, payload in demux.feed(chunk):
            got[stream] += payload
    assert got == {stream: b"".join(p for s, p in sent if s == stream) for stream in got}


@given(st.lists(st.tuples(u32, st.sampled_from(list(ttrpc.Type)), payloads), max_size=6), cuts)
def test_ttrpc_messages_survive_chunking(sent: list[tuple[int, ttrpc.Type, bytes]], at: list[int]) -> None:
    wire = b"".join(ttrpc.encode(*message) for message in sent)
    parser, got = ttrpc.Parser(), []
    for chunk in chunks(wire, at):
        got += parser.feed(chunk)
    assert [(m.stream, m.type, m.payload) for m in got] == sent


@given(st.integers(1, 5000), cuts)
def test_an_oversized_message_is_skipped_and_the_next_one_is_read(extra: int, at: list[int]) -> None:
    length = ttrpc.MAX_MESSAGE + extra
    head = length.to_bytes(4, "big") + (7).to_bytes(4, "big") + b"\x01\x00"
    wire = head + bytes(length) + ttrpc.encode(9, ttrpc.Type.REQUEST, b"next")
    parser, got = ttrpc.Parser(), []
    for chunk in chunks(wire, [*at, 10, length, length + 5]):
        got += parser.feed(chunk)
    assert got == [ttrpc.Message(7, 1, None), ttrpc.Message(9, 1, b"next")]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_raises_nothing_unexpected(junk: list[bytes]) -> None:
    demux, parser = nrimux.Demux(), ttrpc.Parser()
    for chunk in junk:
        parser.feed(chunk)
        try:
            demux.feed(chunk)
        except InvalidArgument:
            break


def test_limits_are_kept() -> None:
    with pytest.raises(ResourceExhausted):
        ttrpc.encode(1, ttrpc.Type.REQUEST, bytes(ttrpc.MAX_MESSAGE + 1))
    with pytest.raises(InvalidArgument):
        nrimux.Demux().feed(b"\x00\x00\x00\x01" + (nrimux.MAX_PAYLOAD + 1).to_bytes(4, "big"))
    whole = ttrpc.encode(1, ttrpc.Type.REQUEST, bytes(ttrpc.MAX_MESSAGE))
    assert sum(len(p) for _, p in nrimux.Demux().feed(nrimux.frames(1, whole))) == len(whole)


def test_frames_are_cut_where_a_go_reader_expects_it() -> None:
    sizes = [len(p) for _, p in nrimux.Demux().feed(nrimux.frames(1, bytes(10_000)))]
    assert sizes == [4096, 10_000 - 4096]
