"""HTTP/2 as a server: frames, windows, violations, whatever the chunks."""

from __future__ import annotations

from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.wire import http2_frames as f
from cricket.wire.header_blocks import HEADER_LIMIT
from cricket.wire.http2 import MAX_STREAMS, OUR_WINDOW, Body, Cancelled, Http2Server, Request
from cricket.wire.http2_frames import Reason, Setting, Type
from cricket.wire.mux import Gone

HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/s/M"), ("te", "trailers")]
WHOLE = {name.encode(): value.encode() for name, value in HEADERS}
GREETING = f.PREFACE + f.settings({})


class Peer:
    """A client's half: header blocks and a reader of frames."""

    def __init__(self, settings: dict[Setting, int] | None = None) -> None:
        self.encoder, self.server = hpack.Encoder(), Http2Server()
        self.server.receive(f.PREFACE + f.settings(settings or {}))
        self.frames()

    def block(self, headers: list[tuple[str, str]] | None = None) -> bytes:
        return bytes(self.encoder.encode(headers or HEADERS))

    def request(self, stream: int, *, end: bool = True) -> bytes:
        return f.frame(Type.HEADERS, f.END_HEADERS | (f.END_STREAM if end else 0), stream, self.block())

    def open(self, stream: int = 1, *, end: bool = True) -> None:
        assert isinstance(self.server.receive(self.request(stream, end=end))[0], Request)

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """Type, flags, stream and payload of what the server sends."""
        data, found = b"", []
        while more := self.server.output():
            data += more
        while data:
            length, kind, flags, stream = f.head(data, 0)
            found.append((kind, flags, stream, data[9 : 9 + length]))
            data = data[9 + length :]
        return found

    def sent(self) -> list[tuple[str, int, int]]:
        """Type, stream and length of what the server sends."""
        return [(Type(kind).name, stream, len(payload)) for kind, _, stream, payload in self.frames()]


def test_it_greets_with_its_limits() -> None:
    data = Http2Server().output()
    length, kind, _, stream = f.head(data, 0)
    assert (kind, stream) == (Type.SETTINGS, 0)
    assert f.parse_settings(data[9 : 9 + length]) == {
        Setting.INITIAL_WINDOW_SIZE: OUR_WINDOW,
        Setting.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
        Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
    }


def test_a_call_and_its_answer() -> None:
    peer = Peer()
    events = peer.server.receive(peer.request(1, end=False) + f.frame(Type.DATA, f.END_STREAM, 1, b"abc"))
    assert events == [
        Request(1, WHOLE),
        Body(1, b"abc", True),
    ]
    peer.server.headers(1, b"\x88")
    peer.server.send(1, b"x" * 20000)
    peer.server.end(1, b"T")
    assert peer.sent() == [("HEADERS", 1, 1), ("DATA", 1, 16384), ("DATA", 1, 3616), ("HEADERS", 1, 1)]
    # All of it is forgotten.
    peer.server.send(1, b"late")
    peer.server.headers(1, b"late")
    peer.server.end(1, b"late")
    assert peer.sent() == [] and not peer.server._streams


def messages(peer: Peer) -> bytes:
    first = f.frame(Type.HEADERS, f.PADDED | f.PRIORITISED, 1, b"\2" + bytes(5) + peer.block() + b"\0\0")
    more = f.frame(Type.CONTINUATION, 0, 1) + f.frame(Type.CONTINUATION, f.END_HEADERS, 1)
    return (
        f.PREFACE
        + f.settings({Setting.INITIAL_WINDOW_SIZE: 10})
        + first
        + more
        + f.frame(Type.DATA, f.PADDED, 1, b"\3hello\0\0\0")
        + f.frame(Type.PRIORITY, 0, 1, bytes(5))
        + f.frame(99, 0, 1, b"unknown")
        + f.frame(Type.PING, 0, 0, b"12345678")
        + f.frame(Type.DATA, f.END_STREAM, 1)
        + peer.request(3)
        + f.reset(3, Reason.CANCEL)
        + f.frame(Type.GOAWAY, 0, 0, bytes(8))
    )


@given(st.lists(st.integers(0, 400), max_size=12))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    data = messages(Peer())
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    server, events = Http2Server(), []
    for start, end in zip(places, places[1:], strict=False):
        events += server.receive(data[start:end])
    assert events == [
        Request(1, WHOLE),
        Body(1, b"hello", False),
        Body(1, b"", True),
        Request(3, WHOLE),
        Body(3, b"", True),
        Cancelled(3),
    ]
    assert f.frame(Type.PING, f.ACK, 0, b"12345678") in server.output()


@given(st.binary(max_size=300))
def test_nothing_that_comes_in_raises(garbage: bytes) -> None:
    server = Http2Server()
    server.receive(GREETING)
    server.receive(garbage)
    server.output()


def test_windows_are_kept_and_what_waits_goes_later() -> None:
    peer = Peer(settings={Setting.INITIAL_WINDOW_SIZE: 10})
    peer.open(1)
    peer.open(3)
    peer.server.send(1, b"a" * 25)
    assert peer.sent() == [("DATA", 1, 10)] and peer.server.waits(1)
    peer.server.receive(f.window_update(1, 10))
    assert peer.sent() == [("DATA", 1, 10)] and peer.server.waits(1)
    peer.server.receive(f.settings({Setting.INITIAL_WINDOW_SIZE: 100}))
    assert peer.sent() == [("SETTINGS", 0, 0), ("DATA", 1, 5)] and not peer.server.waits(1)
    # The window of the connection: 65535 less 25.
    peer.server.receive(f.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 20}))
    peer.frames()
    peer.server.send(1, b"b" * 65510)
    peer.server.send(3, b"c" * 10)
    peer.server.end(3, b"T")
    assert sum(length for _, _, length in peer.sent()) == 65510 and peer.server.waits(3)
    peer.server.receive(f.window_update(0, 4))
    assert peer.sent() == [("DATA", 3, 4)]
    peer.server.receive(f.window_update(0, 6))
    assert peer.sent() == [("DATA", 3, 6), ("HEADERS", 3, 1)]
    # A smaller initial window may make a stream's window negative.
    peer.server.receive(f.window_update(0, 1000) + f.settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    peer.server.send(1, b"d")
    assert peer.sent() == [("SETTINGS", 0, 0)] and peer.server.waits(1)
    peer.server.receive(f.window_update(1, 65525))
    assert peer.sent() == [] and peer.server.waits(1)
    peer.server.receive(f.window_update(1, 1))
    assert peer.sent() == [("DATA", 1, 1)]
    peer.server.send(1, b"d")
    peer.server.receive(f.reset(1, Reason.CANCEL))
    assert not peer.server.waits(1) and peer.server.queued == 0


def test_data_that_was_taken_gives_the_window_back() -> None:
    peer = Peer()
    peer.open(1, end=False)
    for _ in range(OUR_WINDOW // (1 << 14) // 2):
        peer.server.receive(f.frame(Type.DATA, 0, 1, bytes(1 << 14)))
    half = OUR_WINDOW // 2
    assert [frame for frame in peer.frames() if frame[0] == Type.WINDOW_UPDATE] == [
        (Type.WINDOW_UPDATE, 0, 0, half.to_bytes(4, "big")),
        (Type.WINDOW_UPDATE, 0, 1, half.to_bytes(4, "big")),
    ]


def test_larger_frames_when_the_peer_takes_them() -> None:
    peer = Peer(settings={Setting.MAX_FRAME_SIZE: 50000, Setting.INITIAL_WINDOW_SIZE: 1 << 20})
    peer.open(1)
    peer.server.send(1, bytes(60000))
    assert peer.sent() == [("DATA", 1, 50000), ("DATA", 1, 10000)]


def test_an_answer_before_the_end_of_the_request_stops_it() -> None:
    peer = Peer()
    peer.open(1, end=False)
    peer.server.end(1, b"T")
    assert peer.sent() == [("HEADERS", 1, 1), ("RST_STREAM", 1, 4)]
    # What was on its way says nothing any more.
    assert peer.server.receive(f.frame(Type.DATA, f.END_STREAM, 1, b"x") + f.window_update(1, 5)) == []


def test_too_many_streams_and_those_after_the_farewell_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.wire.http2.MAX_STREAMS", 2)
    peer = Peer()
    peer.open(1)
    peer.open(3)
    assert peer.server.receive(peer.request(5)) == []
    assert peer.frames() == [(Type.RST_STREAM, 0, 5, Reason.REFUSED_STREAM.to_bytes(4, "big"))]
    peer.server.end(3, b"T")
    peer.server.leave()
    peer.server.leave()
    assert [kind for kind, *_ in peer.frames()] == [Type.HEADERS, Type.GOAWAY]
    assert peer.server.receive(peer.request(7)) == [] and peer.sent() == [("RST_STREAM", 7, 4)]
    peer.server.end(1, b"T")
    assert peer.sent() == [("HEADERS", 1, 1)]


def _headers(*parts: Any) -> bytes:
    return f.frame(Type.HEADERS, *parts)


def _open(flags: int = 0, stream: int = 1) -> bytes:
    # POST, http, /
    return _headers(flags | f.END_HEADERS, stream, b"\x83\x86\x84")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (f.frame(Type.DATA, 0, 1, b"x"), Reason.PROTOCOL_ERROR),
        (f.frame(Type.DATA, 0, 0, b"x"), Reason.PROTOCOL_ERROR),
        (f.window_update(2, 1), Reason.PROTOCOL_ERROR),
        (f.window_update(0, 0), Reason.PROTOCOL_ERROR),
        (f.window_update(0, f.MAX_WINDOW), Reason.FLOW_CONTROL_ERROR),
        (f.frame(Type.WINDOW_UPDATE, 0, 0, b"x"), Reason.FRAME_SIZE_ERROR),
        (f.frame(Type.PING, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (f.frame(Type.SETTINGS, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (f.frame(Type.SETTINGS, 0, 1), Reason.PROTOCOL_ERROR),
        (f.frame(Type.SETTINGS, f.ACK, 0, b"x" * 6), Reason.FRAME_SIZE_ERROR),
        (f.settings({Setting.ENABLE_PUSH: 2}), Reason.PROTOCOL_ERROR),
        (f.frame(Type.PING, 0, 1, bytes(8)), Reason.PROTOCOL_ERROR),
        (f.frame(Type.GOAWAY, 0, 1, bytes(8)), Reason.PROTOCOL_ERROR),
        (f.frame(Type.PRIORITY, 0, 0, bytes(5)), Reason.PROTOCOL_ERROR),
        (f.frame(Type.PRIORITY, 0, 3, b"\0\0\0\3\0"), Reason.PROTOCOL_ERROR),
        (f.frame(Type.PRIORITY, 0, 3, bytes(4)), Reason.FRAME_SIZE_ERROR),
        (_headers(f.END_HEADERS | f.END_STREAM, 0, b"\x82"), Reason.PROTOCOL_ERROR),
        (_headers(f.END_HEADERS | f.END_STREAM | f.PRIORITISED, 1, b"\0\0\0\1\0\x82"), Reason.PROTOCOL_ERROR),
        (_headers(0, 1) + f.frame(Type.CONTINUATION, 0, 1) * 17, Reason.ENHANCE_YOUR_CALM),
        (_headers(0, 1) + f.frame(Type.CONTINUATION, f.END_HEADERS, 3), Reason.PROTOCOL_ERROR),
        (f.settings({Setting.INITIAL_WINDOW_SIZE: 1 << 31}), Reason.FLOW_CONTROL_ERROR),
        (f.settings({Setting.MAX_FRAME_SIZE: 1}), Reason.PROTOCOL_ERROR),
        (f.frame(Type.PUSH_PROMISE, 0, 1), Reason.PROTOCOL_ERROR),
        (f.frame(Type.CONTINUATION, f.END_HEADERS, 1), Reason.PROTOCOL_ERROR),
        (_headers(0, 1) + f.frame(Type.PING, 0, 0, bytes(8)), Reason.PROTOCOL_ERROR),
        (_headers(f.END_HEADERS, 2, b"\x82"), Reason.PROTOCOL_ERROR),
        (_headers(f.END_HEADERS | f.PADDED, 1, b"\x09x"), Reason.PROTOCOL_ERROR),
        (_headers(f.END_HEADERS, 1, b"\xfe"), Reason.COMPRESSION_ERROR),
        (_open() + _headers(f.END_HEADERS, 1, b"\x8f"), Reason.PROTOCOL_ERROR),
        (_open(f.END_STREAM) + f.frame(Type.DATA, 0, 1, b"x"), Reason.STREAM_CLOSED),
        (_open(f.END_STREAM) + _headers(f.END_HEADERS, 1, b"\x8f"), Reason.STREAM_CLOSED),
        (_open() + f.reset(1, Reason.CANCEL) + f.frame(Type.DATA, 0, 1, b"x"), Reason.STREAM_CLOSED),
        (_open() + f.reset(1, Reason.CANCEL) + _open(), Reason.STREAM_CLOSED),
        (_open(0, 5) + f.reset(5, Reason.CANCEL) + _open(0, 3), Reason.PROTOCOL_ERROR),
        (_headers(0, 1) + f.frame(Type.CONTINUATION, 0, 1, bytes(16000)) * 5, Reason.ENHANCE_YOUR_CALM),
        (f.frame(Type.DATA, 0, 1, bytes(17000)), Reason.FRAME_SIZE_ERROR),
    ],
)
def test_violations_end_the_connection(data: bytes, reason: Reason) -> None:
    peer = Peer()
    events = peer.server.receive(data)
    assert isinstance(events[-1], Gone) and events[-1].violation
    kind, _, _, payload = peer.frames()[-1]
    assert kind == Type.GOAWAY and int.from_bytes(payload[4:8], "big") == reason
    assert peer.server.receive(f.frame(Type.PING, 0, 0, bytes(8))) == [] and peer.sent() == []


def test_too_many_headers() -> None:
    peer = Peer()
    block = peer.block([(f"name-{i}", "v" * 100) for i in range(200)])
    first = f.frame(Type.HEADERS, 0, 1, block[:16000])
    events = peer.server.receive(first + f.frame(Type.CONTINUATION, f.END_HEADERS, 1, block[16000:]))
    assert isinstance(events[-1], Gone)
    assert int.from_bytes(peer.frames()[-1][3][4:8], "big") == Reason.ENHANCE_YOUR_CALM


def test_what_is_no_http2_is_told_at_its_first_byte() -> None:
    assert isinstance(Http2Server().receive(b"GET / HTTP/1.1\r\n")[0], Gone)
    assert isinstance(Http2Server().receive(b"\0")[0], Gone)
    assert Http2Server().receive(b"PRI *") == []


def test_the_same_references_mean_the_same_until_the_table_changes() -> None:
    peer, stream = Peer(), 1

    def request(*timeouts: str) -> list[bytes]:
        nonlocal stream
        found = []
        for timeout in timeouts:
            block = peer.block([*HEADERS, ("grpc-timeout", timeout)])
            [event, _] = peer.server.receive(f.frame(Type.HEADERS, f.END_HEADERS | f.END_STREAM, stream, block))
            assert isinstance(event, Request)
            found.append(event.headers[b"grpc-timeout"])
            stream += 2
        return found

    assert request("1S", "1S", "1S", "2S", "1S", "2S", "2S") == [b"1S", b"1S", b"1S", b"2S", b"1S", b"2S", b"2S"]
    assert len(peer.server._reader._blocks) == 2
    many = [f"{i}m" for i in range(100)]
    assert request(*many, *many[-9:], "1S") == [t.encode() for t in (*many, *many[-9:], "1S")]
    assert len(peer.server._reader._blocks) <= 32
