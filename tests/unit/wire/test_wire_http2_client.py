"""HTTP/2 as a client: against bytes made by hand, and against our own server, whatever the chunks."""

from __future__ import annotations

import itertools

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire import http2
from cricket.wire import http2_frames as f
from cricket.wire.grpc_answers import KNOWN_BLOCKS, Answers, Outcome, request_headers
from cricket.wire.header_blocks import literal
from cricket.wire.http2 import Http2Server, Request
from cricket.wire.http2_client import OUR_WINDOW, Answered, Body, Gone, Http2Client, Leaves, Refused
from cricket.wire.http2_frames import Reason, Setting, Type

FIELDS = request_headers(b"/s/M", 1.5)
OK_200 = {b":status": b"200", b"content-type": b"application/grpc"}
GREETING = f.settings({})


class Peer:
    """A server's half by hand."""

    def __init__(self, settings: dict[Setting, int] | None = None) -> None:
        self.client, self.encoder = Http2Client(KNOWN_BLOCKS), hpack.Encoder()
        assert self.client.output().startswith(f.PREFACE)
        assert self.client.receive(f.settings(settings or {})) == []
        assert self.frames() == [(Type.SETTINGS, f.ACK, 0, b"")]

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """Type, flags, stream and payload of what the client sends."""
        data, found = self.client.output(), []
        while data:
            length, kind, flags, stream = f.head(data, 0)
            found.append((kind, flags, stream, data[9 : 9 + length]))
            data = data[9 + length :]
        return found

    def sent(self) -> list[tuple[str, int, int]]:
        """Type, stream and length of what the client sends."""
        return [(Type(kind).name, stream, len(payload)) for kind, _, stream, payload in self.frames()]

    def headers(self, stream: int, *fields: tuple[str, str], end: bool = False) -> bytes:
        flags = f.END_HEADERS | (f.END_STREAM if end else 0)
        return f.frame(Type.HEADERS, flags, stream, bytes(self.encoder.encode(fields)))


def test_a_greeting_and_a_call() -> None:
    client = Http2Client({})
    assert client.open(FIELDS, b"hello") == 1 and client.open(FIELDS, b"again") == 3
    data = client.output()
    assert data.startswith(f.PREFACE)
    data, found = data[len(f.PREFACE) :], []
    while data:
        length, kind, flags, stream = f.head(data, 0)
        found.append((kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    values = f.parse_settings(found[0][3])
    assert values[Setting.ENABLE_PUSH] == 0 and values[Setting.INITIAL_WINDOW_SIZE] == OUR_WINDOW
    assert found[1][0] == Type.WINDOW_UPDATE and f.word(found[1][3]) + f.DEFAULT_WINDOW == OUR_WINDOW
    decoder = hpack.Decoder()
    for stream, body in ((1, b"hello"), (3, b"again")):
        opened, sent = [each for each in found if each[2] == stream]
        assert opened[:2] == (Type.HEADERS, f.END_HEADERS) and sent == (Type.DATA, f.END_STREAM, stream, body)
        fields = [(bytes(n), bytes(v)) for n, v in decoder.decode(opened[3], raw=True)]
        assert fields == FIELDS and grpc.call_of(dict(fields)) == grpc.Call(b"/s/M", 1.5, b"identity")
    assert len(found[-2][3]) == len(FIELDS)  # a byte for each


def test_a_large_request_goes_as_the_windows_allow() -> None:
    peer = Peer({Setting.INITIAL_WINDOW_SIZE: 20000, Setting.MAX_FRAME_SIZE: 18000})
    peer.client.open(FIELDS, bytes(30000))
    assert [each for each in peer.sent() if each[0] == "DATA"] == [("DATA", 1, 18000), ("DATA", 1, 2000)]
    peer.client.receive(f.window_update(1, 5000))
    assert peer.frames() == [(Type.DATA, 0, 1, bytes(5000))]
    peer.client.receive(f.window_update(1, 60000))
    assert peer.frames() == [(Type.DATA, 0, 1, bytes(5000)), (Type.DATA, f.END_STREAM, 1, b"")]
    # The window of the connection: 65535 less 30000.
    peer.client.open(FIELDS, bytes(20000))
    peer.client.open(FIELDS, bytes(20000))
    assert sum(length for kind, _, length in peer.sent() if kind == "DATA") == 35535
    # An answer before the end of the request: the rest is not sent.
    assert peer.client.receive(peer.headers(5, ("grpc-status", "8"), end=True)) == [
        Answered(5, {b"grpc-status": b"8"}, True)
    ]
    assert peer.frames() == [(Type.RST_STREAM, 0, 5, Reason.NO_ERROR.to_bytes(4, "big"))]
    peer.client.receive(f.window_update(0, 100000))
    assert peer.sent() == []


def answer(peer: Peer) -> bytes:
    """What a server may send for stream 1: padding, continuations, pings, frames nobody knows."""
    block = bytes(peer.encoder.encode([(":status", "200"), ("content-type", "application/grpc"), ("date", "x" * 90)]))
    padded = f.frame(Type.HEADERS, f.PADDED | f.PRIORITISED, 1, b"\2" + bytes(5) + block[:20] + b"\0\0")
    return b"".join(
        (
            padded,
            f.frame(Type.CONTINUATION, 0, 1),
            f.frame(Type.CONTINUATION, f.END_HEADERS, 1, block[20:]),
            f.frame(Type.DATA, f.PADDED, 1, b"\3hello\0\0\0"),
            f.frame(Type.PING, 0, 0, b"12345678"),
            f.frame(99, 0, 1, b"unknown"),
            f.settings({Setting.INITIAL_WINDOW_SIZE: 10}),
            f.frame(Type.DATA, 0, 1, b" world"),
            peer.headers(1, ("grpc-status", "0"), ("grpc-message", ""), end=True),
            f.frame(Type.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4) + b"bye"),
        )
    )


@given(st.lists(st.integers(0, 1 << 16), max_size=12))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    peer = Peer()
    peer.client.open(FIELDS, b"x")
    peer.frames()
    data = answer(peer)
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    events = [event for start, end in itertools.pairwise(places) for event in peer.client.receive(data[start:end])]
    assert events == [
        Answered(1, {**OK_200, b"date": b"x" * 90}, False),
        Body(1, b"hello", 9, False),
        Body(1, b" world", 6, False),
        Answered(1, {b"grpc-status": b"0", b"grpc-message": b""}, True),
        Leaves(),
    ]
    assert peer.frames() == [(Type.PING, f.ACK, 0, b"12345678"), (Type.SETTINGS, f.ACK, 0, b"")]


def converse(client: Http2Client, server: Http2Server, cuts: list[int], answers: dict[int, Answers]) -> None:
    """Let both talk until they have nothing more to say, the server answering with what was asked for."""
    sizes = itertools.cycle(cuts)
    questions: dict[int, bytearray] = {}
    down = b""
    while (up := client.output()) or (down := server.output()):
        while up:
            size = next(sizes)
            for event in server.receive(up[:size]):
                if isinstance(event, http2.Body):
                    questions.setdefault(event.stream, bytearray()).extend(event.data)
                    if event.end:
                        server.headers(event.stream, grpc.HEADERS)
                        server.send(event.stream, bytes(questions[event.stream]))
                        server.end(event.stream, grpc.trailers(Code.NOT_FOUND, "nö 100%"))
                else:
                    assert isinstance(event, Request)
            up = up[size:]
        down = down or server.output()
        while down:
            size = next(sizes)
            for event in client.receive(down[:size]):
                if isinstance(event, Answered):
                    answers[event.stream].headers(event.headers, event.end)
                elif isinstance(event, Body):
                    answers[event.stream].data(event.data, event.end)
                    client.consumed(event.stream, event.size)
                else:
                    raise AssertionError(event)
            down = down[size:]


@given(
    st.lists(st.integers(1, 1 << 18), min_size=1, max_size=8),
    st.lists(st.binary(max_size=20).map(lambda seed: seed * (1 << 14)) | st.binary(max_size=50), max_size=6),
)
def test_our_own_server_gives_back_what_it_was_asked(cuts: list[int], messages: list[bytes]) -> None:
    client, server, answers = Http2Client({}), Http2Server(), dict[int, Answers]()
    for message in messages:
        answers[client.open(FIELDS, grpc.framed(message) * 2)] = Answers(1 << 20)
    # Small cuts of large bodies take long.
    size = sum(map(len, messages))
    converse(client, server, [max(cut, size // 500) for cut in cuts], answers)
    for message, got in zip(messages, answers.values(), strict=True):
        assert list(got.messages) == [message] * 2 and got.outcome == Outcome(Code.NOT_FOUND, "nö 100%")


def test_more_than_a_window_in_both_directions() -> None:
    client, server, message = Http2Client(KNOWN_BLOCKS), Http2Server(), bytes(2 * OUR_WINDOW)
    answers = {client.open(FIELDS, grpc.framed(message)): Answers(len(message))}
    converse(client, server, [1 << 20], answers)
    assert [list(got.messages) for got in answers.values()] == [[message]]


def test_a_stream_that_nobody_reads_gets_no_more_room() -> None:
    peer = Peer()
    stream = peer.client.open(FIELDS, b"x")
    peer.client.receive(peer.headers(stream, (":status", "200")))
    peer.frames()
    for _ in range(OUR_WINDOW >> 14):
        [event] = peer.client.receive(f.frame(Type.DATA, 0, stream, bytes(1 << 14)))
        assert event == Body(stream, bytes(1 << 14), 1 << 14, False)
    assert {(kind, stream) for kind, stream, _ in peer.sent()} == {("WINDOW_UPDATE", 0)}
    peer.client.consumed(stream, OUR_WINDOW)
    assert peer.frames() == [(Type.WINDOW_UPDATE, 0, stream, OUR_WINDOW.to_bytes(4, "big"))]
    peer.client.consumed(99, OUR_WINDOW)
    assert peer.frames() == []


def test_giving_up() -> None:
    peer = Peer({Setting.MAX_CONCURRENT_STREAMS: 2})
    first, second = peer.client.open(FIELDS, b"x"), peer.client.open(FIELDS, b"x")
    peer.frames()
    assert peer.client.full
    peer.client.reset(first)
    peer.client.reset(first)
    assert peer.frames() == [(Type.RST_STREAM, 0, first, Reason.CANCEL.to_bytes(4, "big"))] and not peer.client.full
    # What was on its way says nothing any more, but its headers are read.
    assert peer.client.receive(peer.headers(first, (":status", "200"), ("server", "y"))) == []
    assert peer.client.receive(f.frame(Type.DATA, f.END_STREAM, first, b"z") + f.reset(first, Reason.CANCEL)) == []
    assert peer.client.receive(peer.headers(second, ("server", "y"), end=True)) == [
        Answered(second, {b"server": b"y"}, True)
    ]


def test_the_server_gives_up_and_leaves() -> None:
    peer = Peer()
    streams = [peer.client.open(FIELDS, b"x") for _ in range(4)]
    assert peer.client.receive(f.reset(1, Reason.REFUSED_STREAM)) == [Refused(1, Reason.REFUSED_STREAM)]
    assert peer.client.receive(f.goaway(3, Reason.NO_ERROR)) == [
        *(Refused(late, Reason.REFUSED_STREAM) for late in streams[2:]),
        Leaves(),
    ]
    assert peer.client.receive(peer.headers(3, ("grpc-status", "0"), end=True)) == [
        Answered(3, {b"grpc-status": b"0"}, True)
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (f.frame(Type.DATA, 0, 3, b"x"), Reason.PROTOCOL_ERROR),
        (f.frame(Type.DATA, 0, 0, b"x"), Reason.PROTOCOL_ERROR),
        (f.frame(Type.HEADERS, f.END_HEADERS, 2, b"\x88"), Reason.PROTOCOL_ERROR),
        (f.frame(Type.HEADERS, f.END_HEADERS, 1, b"\xfe"), Reason.COMPRESSION_ERROR),
        (f.frame(Type.HEADERS, f.END_HEADERS, 1, literal(b"n", b"") * 500), Reason.ENHANCE_YOUR_CALM),
        (f.frame(Type.HEADERS, 0, 1) + f.frame(Type.PING, 0, 0, bytes(8)), Reason.PROTOCOL_ERROR),
        (f.frame(Type.HEADERS, 0, 1) + f.frame(Type.CONTINUATION, 0, 1, bytes(16000)) * 5, Reason.ENHANCE_YOUR_CALM),
        (f.frame(Type.PUSH_PROMISE, 0, 1, bytes(4)), Reason.PROTOCOL_ERROR),
        (f.frame(Type.GOAWAY, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (f.window_update(0, f.MAX_WINDOW), Reason.FLOW_CONTROL_ERROR),
        (f.window_update(1, 0), Reason.PROTOCOL_ERROR),
        (f.reset(2, Reason.CANCEL), Reason.PROTOCOL_ERROR),
        (f.frame(Type.DATA, 0, 1, bytes(17000)), Reason.FRAME_SIZE_ERROR),
    ],
)
def test_violations_end_the_connection(data: bytes, reason: Reason) -> None:
    peer = Peer()
    peer.client.open(FIELDS, b"x")
    peer.frames()
    events = peer.client.receive(data)
    assert isinstance(events[-1], Gone)
    kind, _, _, payload = peer.frames()[-1]
    assert kind == Type.GOAWAY and int.from_bytes(payload[4:8], "big") == reason
    assert peer.client.receive(f.frame(Type.PING, 0, 0, bytes(8))) == [] and peer.sent() == []


@pytest.mark.parametrize("settings", [{}, {Setting.INITIAL_WINDOW_SIZE: f.MAX_WINDOW}])
def test_a_window_that_is_too_large_ends_its_stream(settings: dict[Setting, int]) -> None:
    peer = Peer(settings)
    peer.client.open(FIELDS, b"x")
    peer.frames()
    assert peer.client.receive(f.window_update(1, f.MAX_WINDOW)) == [Refused(1, Reason.FLOW_CONTROL_ERROR)]
    assert peer.frames() == [(Type.RST_STREAM, 0, 1, Reason.FLOW_CONTROL_ERROR.to_bytes(4, "big"))]


@given(st.binary(max_size=300))
def test_nothing_that_comes_in_raises(garbage: bytes) -> None:
    for greeting in (b"", GREETING):
        client = Http2Client({})
        client.open(FIELDS, b"x")
        client.receive(greeting)
        client.receive(garbage)
        client.output()


@pytest.mark.parametrize("cut", [1, 3, 4, 9, 30])
def test_another_protocol_is_told_at_once(cut: int) -> None:
    client, data = Http2Client({}), b"HTTP/1.1 400 Bad Request\r\n\r\n"
    events = client.receive(data[:cut]) + client.receive(data[cut:])
    assert events == [Gone("what answers does not speak gRPC")]


def test_the_same_block_means_the_same_until_the_table_changes() -> None:
    peer = Peer()

    def answered(*fields: tuple[str, str]) -> dict[bytes, bytes]:
        stream = peer.client.open(FIELDS, b"x")
        [event] = peer.client.receive(peer.headers(stream, *fields, end=True))
        assert isinstance(event, Answered)
        return event.headers

    for status in ("0", "0", "5", "5", "0", *map(str, range(300)), "0", "5"):
        assert answered(("grpc-status", status)) == {b"grpc-status": status.encode()}
    # What does not go into the table does not change it either.
    known = len(peer.client._blocks)
    block = grpc.trailers(Code.ABORTED, "words")
    for _ in range(2):
        stream = peer.client.open(FIELDS, b"x")
        [event] = peer.client.receive(f.frame(Type.HEADERS, f.END_HEADERS | f.END_STREAM, stream, block))
        assert event == Answered(stream, {b"grpc-status": b"10", b"grpc-message": b"words"}, True)
    assert block in peer.client._blocks and len(peer.client._blocks) == known + 1
