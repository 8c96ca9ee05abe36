"""HTTP/2 as a server: what a request may look like, and how data goes out."""

from __future__ import annotations

import hpack
import pytest

from cricket.wire import http2_frames as f
from cricket.wire.http2 import Body, Cancelled, Http2Server, Request
from cricket.wire.http2_frames import Reason, Setting, Type
from cricket.wire.http2_output import ROOM
from cricket.wire.mux import Gone

HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/s/M")]
WINDOW = 1 << 30


def served(**settings: int) -> Http2Server:
    """One that was greeted, with the settings of that name."""
    server = Http2Server()
    server.receive(f.PREFACE + f.settings({Setting[name]: value for name, value in settings.items()}))
    server.output()
    return server


def frames(data: bytes) -> list[tuple[Type, int, int, bytes]]:
    """Type, flags, stream and payload."""
    found = []
    while data:
        length, kind, flags, stream = f.head(data, 0)
        found.append((Type(kind), flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def request(headers: list[tuple[str, str]], stream: int = 1, *, end: bool = False) -> bytes:
    # Literals, as they are: an encoder would make names lower case.
    block = b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode() for name, value in headers
    )
    return f.frame(Type.HEADERS, f.END_HEADERS | (f.END_STREAM if end else 0), stream, block)


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS[1:],
        HEADERS[:1] + HEADERS[2:],
        HEADERS[:2],
        [*HEADERS[:2], (":path", "")],
        [*HEADERS, (":path", "/other")],
        [*HEADERS, (":status", "200")],
        [*HEADERS, (":protocol", "websocket")],
        [HEADERS[0], ("te", "trailers"), *HEADERS[1:]],
        [*HEADERS, ("Content-Type", "application/grpc")],
        [*HEADERS, ("", "x")],
        [*HEADERS, ("a b", "x")],
        [*HEADERS, ("a\0b", "x")],
        [*HEADERS, ("a:b", "x")],
        [*HEADERS, ("x", "a\r\nb")],
        [*HEADERS, ("x", "a\0b")],
        [*HEADERS, ("connection", "close")],
        [*HEADERS, ("transfer-encoding", "chunked")],
        [*HEADERS, ("te", "gzip")],
        [*HEADERS, ("content-length", "x")],
        [*HEADERS, ("content-length", "9" * 30)],
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_lives(headers: list[tuple[str, str]]) -> None:
    server = served()
    assert server.receive(request(headers)) == []
    assert frames(server.output()) == [(Type.RST_STREAM, 0, 1, Reason.PROTOCOL_ERROR.to_bytes(4, "big"))]
    # What was on its way for it says nothing.
    assert server.receive(f.frame(Type.DATA, f.END_STREAM, 1, b"x")) == []
    assert isinstance(server.receive(request(HEADERS, 3))[0], Request)


@pytest.mark.parametrize("headers", [[*HEADERS, (":authority", "")], [*HEADERS, ("te", "trailers"), ("x-bin", "\x7f")]])
def test_what_is_odd_and_right(headers: list[tuple[str, str]]) -> None:
    assert isinstance(served().receive(request(headers))[0], Request)


def test_trailers_end_a_request_and_must_look_like_some() -> None:
    server = served()
    server.receive(request(HEADERS) + request(HEADERS, 3))
    assert server.receive(request([("x", "y")], 1, end=True)) == [Body(1, b"", True)]
    assert server.receive(request([(":path", "/")], 3, end=True)) == [Cancelled(3)]


@pytest.mark.parametrize(("sizes", "kept"), [((2, 1), True), ((3,), True), ((2,), False), ((2, 2), False)])
def test_a_content_length_is_kept(sizes: tuple[int, ...], kept: bool) -> None:
    server = served()
    server.receive(request([*HEADERS, ("content-length", "3")]))
    *first, last = [f.frame(Type.DATA, 0, 1, bytes(size)) for size in sizes]
    last = last[:4] + bytes((f.END_STREAM,)) + last[5:]
    events = server.receive(b"".join((*first, last)))
    assert events[-1] == (Body(1, bytes(sizes[-1]), True) if kept else Cancelled(1))


@pytest.mark.parametrize("first", [f.frame(Type.PING, 0, 0, bytes(8)), f.frame(Type.SETTINGS, f.ACK, 0)])
def test_the_first_frame_has_to_be_settings(first: bytes) -> None:
    server = Http2Server()
    assert server.receive(f.PREFACE) == [] and not server.greeted
    assert isinstance(server.receive(first)[0], Gone)


def test_a_window_that_is_too_large_ends_its_stream_or_the_connection() -> None:
    server = served()
    server.receive(request(HEADERS) + request(HEADERS, 3))
    assert server.receive(f.window_update(1, f.MAX_WINDOW)) == [Cancelled(1)]
    assert frames(server.output()) == [(Type.RST_STREAM, 0, 1, Reason.FLOW_CONTROL_ERROR.to_bytes(4, "big"))]
    # By the initial window, too, but not for a stream that is gone.
    assert server.receive(f.settings({Setting.INITIAL_WINDOW_SIZE: f.MAX_WINDOW})) == []
    server.receive(f.settings({Setting.INITIAL_WINDOW_SIZE: 0}) + f.window_update(3, 1))
    [gone] = server.receive(f.settings({Setting.INITIAL_WINDOW_SIZE: f.MAX_WINDOW}))
    assert isinstance(gone, Gone)


def test_a_header_block_that_is_larger_than_a_frame_is_continued() -> None:
    server = served()
    server.receive(request(HEADERS))
    server.end(1, bytes(40_000))
    sent = frames(server.output())
    assert [(kind, flags, len(payload)) for kind, flags, _, payload in sent[:3]] == [
        (Type.HEADERS, f.END_STREAM, 16384),
        (Type.CONTINUATION, 0, 16384),
        (Type.CONTINUATION, f.END_HEADERS, 40_000 - 32768),
    ]


@pytest.mark.parametrize("size", [0, 100, 4096, 65536])
def test_a_peer_with_a_smaller_table_is_told_that_none_is_used(size: int) -> None:
    server, decoder = served(HEADER_TABLE_SIZE=size), hpack.Decoder()
    decoder.max_allowed_table_size = size
    server.receive(request(HEADERS) + request(HEADERS, 3))
    for stream in (1, 3):
        server.headers(stream, b"\x88")
        [(_, _, _, payload)] = frames(server.output())
        assert decoder.decode(payload) == [(":status", "200")]


def test_streams_take_turns_and_a_fetch_is_limited() -> None:
    server = served(INITIAL_WINDOW_SIZE=WINDOW)
    server.receive(f.window_update(0, WINDOW) + b"".join(request(HEADERS, n, end=True) for n in (1, 3, 5)))
    for stream in (1, 3):
        server.send(stream, bytes(1 << 20))
        server.end(stream, b"T")
    server.send(5, b"small")
    server.end(5, b"T")
    first = server.output()
    assert ROOM <= len(first) < ROOM + (1 << 17)
    order = [stream for kind, _, stream, _ in frames(first) if kind is Type.DATA]
    assert order[:10] == [1, 1, 1, 1, 3, 3, 3, 3, 5, 1]
    rest = b""
    while more := server.output():
        rest += more
    sizes = dict.fromkeys((1, 3, 5), 0)
    for kind, _, stream, payload in frames(first + rest):
        sizes[stream] += len(payload) if kind is Type.DATA else 0
    assert sizes == {1: 1 << 20, 3: 1 << 20, 5: 5} and server.queued == 0


def test_what_waits_is_not_copied() -> None:
    server, data = served(INITIAL_WINDOW_SIZE=0), bytes(1 << 20)
    for stream in range(1, 200, 2):
        server.receive(request(HEADERS, stream, end=True))
        server.send(stream, b"head", data)
    assert server.queued == 100 * ((1 << 20) + 4)
    assert all(state.parts[1] is data for state in server._streams.values())
    server.receive(b"".join(f.reset(stream, Reason.CANCEL) for stream in range(1, 200, 2)))
    assert server.queued == 0 and not server._streams


def test_many_settings_cost_little_whatever_waits() -> None:
    server = served(INITIAL_WINDOW_SIZE=0)
    for stream in range(1, 1000, 2):
        server.receive(request(HEADERS, stream, end=True))
        server.send(stream, b"x")
    server.output()
    assert len(server._out._stalled) == 500
    server.receive(f.settings({Setting.MAX_FRAME_SIZE: 1 << 14}) * 1000)
    # All were looked at by the first; the others have nothing left to look at before something is fetched.
    assert not server._out._stalled and len(server._out._waiting) == 500 and server.chatter >= 1000
