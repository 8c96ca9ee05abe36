from __future__ import annotations

import struct
import zlib

import pytest

from cricket.wire.mux import Accepted, Ended, Event, Gone, Opened, ProtocolViolation, Received, WasReset, Writable
from cricket.wire.spdy_frames import Control, FrameDecoder, FrameEncoder, Headers, Settings, Type
from cricket.wire.spdy_headers import DICTIONARY, MAX_BLOCK, HeaderDeflater, HeaderInflater
from cricket.wire.spdy_session import DEFAULT_WINDOW, MAX_STREAMS, OUR_SESSION_WINDOW, OUR_WINDOW, SpdySession


def pair() -> tuple[SpdySession, SpdySession]:
    """A server, and a client like spdystream: without flow control."""
    client = SpdySession(server=False)
    client.output()
    return SpdySession(server=True), client


def carry(source: SpdySession, target: SpdySession) -> list[Event]:
    return target.receive(b"".join(source.output()))


def opened(server: SpdySession, client: SpdySession, headers: dict[str, str] | None = None) -> int:
    channel = client.open(headers or {"streamtype": "data"})
    assert carry(client, server)[-1] == Opened(channel, headers or {"streamtype": "data"})
    server.accept(channel)
    assert carry(server, client)[-1] == Accepted(channel)
    return channel


def test_the_dictionary_is_the_one_of_the_draft() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2  # the dictionary id that SPDY/3 streams carry


def test_a_conversation_with_half_close() -> None:
    server, client = pair()
    channel = opened(server, client)
    client.send(channel, b"question")
    client.end(channel)
    assert carry(client, server) == [Received(channel, b"question"), Ended(channel)]
    server.send(channel, b"answer")
    server.end(channel)
    assert carry(server, client) == [Received(channel, b"answer"), Ended(channel)]
    assert server.open_streams == client.open_streams == 0


def test_header_compression_goes_on_from_block_to_block() -> None:
    server, client = pair()
    for number in range(5):
        assert opened(server, client, {"streamtype": "error", "port": str(number)}) == 2 * number + 1


def test_reset_ends_both_directions() -> None:
    server, client = pair()
    channel = opened(server, client)
    client.reset(channel)
    server.send(channel, b"too late")
    assert carry(client, server) == [WasReset(channel)]
    assert carry(server, client) == []
    server.send(channel, b"dropped")
    server.end(channel)
    assert server.output() == []


def test_ping_is_answered_and_answers_are_not() -> None:
    server, client = pair()
    client.ping(7)
    carry(client, server)
    answer = server.output()
    assert answer
    assert client.receive(b"".join(answer)) == []
    assert client.output() == []


def test_goaway_lets_open_streams_finish() -> None:
    server, client = pair()
    channel = opened(server, client)
    client.close()
    assert carry(client, server) == []
    server.send(channel, b"rest")
    server.end(channel)
    assert carry(server, client) == [Received(channel, b"rest"), Ended(channel)]
    client.end(channel)
    assert carry(client, server) == [Ended(channel), Gone("the peer said goodbye")]
    with pytest.raises(ProtocolViolation):
        client.open({})


def test_goaway_without_streams_is_the_end() -> None:
    server, client = pair()
    client.close()
    assert carry(client, server) == [Gone("the peer said goodbye")]
    assert server.receive(b"whatever") == []


def test_without_flow_control_nothing_waits_and_no_window_is_sent() -> None:
    server, client = pair()
    channel = opened(server, client)
    for _ in range(40):
        assert server.sendable(channel) > 1 << 20
        server.send(channel, bytes(65536))
        client.send(channel, bytes(65536))
    server.output()
    assert sum(len(e.data) for e in carry(client, server) if isinstance(e, Received)) == 40 * 65536
    server.consumed(channel, 40 * 65536)
    assert server.output() == []


def flow_pair() -> tuple[SpdySession, SpdySession, int]:
    server, client = SpdySession(server=True), SpdySession(server=False)
    channel = client.open({})
    carry(client, server)
    server.accept(channel)
    carry(server, client)
    return server, client, channel


def test_windows_are_kept_when_the_peer_shows_that_it_knows_them() -> None:
    server, client, channel = flow_pair()
    assert server.flow_control and client.flow_control
    assert server.sendable(channel) == client.sendable(channel) == OUR_WINDOW
    server.send(channel, bytes(OUR_WINDOW))
    assert server.sendable(channel) == 0
    carry(server, client)
    client.consumed(channel, OUR_WINDOW)
    events = carry(client, server)
    assert Writable(channel) in events and Writable(0) in events
    assert server.sendable(channel) == OUR_WINDOW


def test_more_than_the_session_window_allows_is_refused() -> None:
    server, client, channel = flow_pair()
    channels = [channel, *(client.open({}) for _ in range(4))]
    assert len(carry(client, server)) == 4
    for number in channels[:4]:
        client.send(number, bytes(OUR_SESSION_WINDOW // 4))
    assert Gone not in [type(e) for e in carry(client, server)]
    client.send(channels[4], b"x")
    last = carry(client, server)[-1]
    assert isinstance(last, Gone) and last.violation


def test_a_stream_that_exceeds_its_own_window_is_reset() -> None:
    server, client, channel = flow_pair()
    client.send(channel, bytes(OUR_WINDOW))
    carry(client, server)
    client.send(channel, b"x")
    assert carry(client, server) == [WasReset(channel)]
    assert carry(server, client)[-1] == WasReset(channel)


def test_an_initial_window_changes_open_streams() -> None:
    server, client = pair()
    channel = opened(server, client)
    server.receive(FrameEncoder().settings(Settings({7: 1000})))
    assert server.sendable(channel) == 1000
    server.send(channel, bytes(1000))
    server.receive(FrameEncoder().control(Control(Type.WINDOW_UPDATE, channel, 5)))
    assert server.sendable(channel) == 5
    server.receive(FrameEncoder().settings(Settings({7: 0})))
    assert server.sendable(channel) == 0


def refused(server: SpdySession, data: bytes) -> str:
    last = server.receive(data)[-1]
    assert isinstance(last, Gone) and last.violation
    assert server.output()[-1][:4] == b"\x80\x03\x00\x07"  # GOAWAY
    return last.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n" + bytes(0), None),
        (bytes(8), "stream 0"),
        (struct.pack(">HHI", 0x8002, 1, 10) + bytes(10), "version"),
        (struct.pack(">HHI", 0x8003, 1, 0xFFFFFF), "longer"),
        (struct.pack(">HHI", 0x8003, 1, 3) + bytes(3), "short"),
        (struct.pack(">HHI", 0x8003, 6, 8) + bytes(8), "length"),
        (struct.pack(">HHI", 0x8003, 9, 4) + bytes(4), "short"),
        (struct.pack(">HHI", 0x8003, 4, 4) + b"\xff\xff\xff\xff", "SETTINGS"),
        (struct.pack(">HHI", 0x8003, 4, 0), "SETTINGS"),
        (struct.pack(">HHIII", 0x8003, 9, 8, 0, 0), "WINDOW_UPDATE"),
        (struct.pack(">HHIII", 0x8003, 9, 8, 0, 0x7FFFFFFF), "WINDOW_UPDATE"),
        (struct.pack(">HHIIII", 0x8003, 4, 12, 1, 7, 0xFFFFFFFF), "window"),
        (struct.pack(">HHIIIBB", 0x8003, 1, 20, 1, 0, 0, 0) + b"not zlib..", "decompressed"),
    ],
)
def test_hostile_frames_end_the_session(data: bytes, reason: str | None) -> None:
    server = SpdySession(server=True)
    if reason is None:
        assert server.receive(data) == []  # "GET " is a data frame of an unknown stream, waiting for its payload
    else:
        assert reason in refused(server, data)


def syn(block: bytes, stream: int = 1) -> bytes:
    return struct.pack(">HHIIIBB", 0x8003, 1, 10 + len(block), stream, 0, 0, 0) + block


def deflated(plain: bytes) -> bytes:
    stream = zlib.compressobj(zdict=DICTIONARY)
    return stream.compress(plain) + stream.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (struct.pack(">I", 1) + struct.pack(">I", 50_000_000) + bytes(20_000_000), "longer"),
        (struct.pack(">I", 0xFFFFFFFF), "more than"),
        (struct.pack(">III", 1, 0xFFFFFFFF, 0), "short"),
        (struct.pack(">I", 1), "short"),
        (struct.pack(">II", 1, 0) + struct.pack(">I", 0), "empty"),
        (struct.pack(">II", 1, 1) + b"A" + struct.pack(">I", 0), "lower"),
        (struct.pack(">I", 2) + 2 * (struct.pack(">I", 1) + b"a" + struct.pack(">I", 0)), "twice"),
        (struct.pack(">I", 0) + b"x", "after"),
    ],
)
def test_hostile_header_blocks_end_the_session(plain: bytes, reason: str) -> None:
    assert reason in refused(SpdySession(server=True), syn(deflated(plain)))


def test_a_finished_compression_stream_ends_the_session() -> None:
    stream = zlib.compressobj(zdict=DICTIONARY)
    assert "ended" in refused(SpdySession(server=True), syn(stream.compress(struct.pack(">I", 0)) + stream.flush()))


def test_stream_ids_must_grow_and_be_odd() -> None:
    server, encoder = SpdySession(server=True), FrameEncoder()
    good = encoder.headers(Headers(Type.SYN_STREAM, 5, {}))
    for stream in (4, 5, 3):
        assert [
            e
            for e in server.receive(good + encoder.headers(Headers(Type.SYN_STREAM, stream, {})))
            if e != Opened(5, {})
        ] == []
        good = b""
        assert server.output()[-1] == encoder.control(Control(Type.RST_STREAM, stream, 1))


def test_too_many_streams_are_refused() -> None:
    server, client = pair()
    for _ in range(MAX_STREAMS + 1):
        client.open({})
    assert len(carry(client, server)) == MAX_STREAMS
    assert carry(server, client) == [WasReset(2 * MAX_STREAMS + 1)]


def test_data_for_a_stream_that_never_was_is_refused() -> None:
    server, client = pair()
    encoder = FrameEncoder()
    assert server.receive(encoder.data_header(9, 3, False) + b"abc") == []
    assert server.output() == [encoder.control(Control(Type.RST_STREAM, 9, 2))]


def test_a_window_that_overflows_resets_the_stream() -> None:
    server, client = pair()
    channel = opened(server, client)
    update = FrameEncoder().control(Control(Type.WINDOW_UPDATE, channel, 0x7FFFFFFF))
    assert server.receive(update) == [WasReset(channel)]
    assert server.output()[-1] == FrameEncoder().control(Control(Type.RST_STREAM, channel, 7))


def test_unknown_control_frames_are_ignored() -> None:
    assert list(FrameDecoder().feed(struct.pack(">HHI", 0x8003, 0x4242, 3) + b"abc")) == []


def test_long_header_blocks_within_the_limit_pass() -> None:
    headers = {"a": "x" * (MAX_BLOCK - 100)}
    assert HeaderInflater().unpack(HeaderDeflater().pack(headers)) == headers


def test_late_flow_control_is_credited_for_what_was_consumed() -> None:
    server, client = pair()
    channel = opened(server, client)
    client.send(channel, bytes(10 * DEFAULT_WINDOW))
    carry(client, server)
    server.consumed(channel, 10 * DEFAULT_WINDOW)
    server.receive(FrameEncoder().control(Control(Type.WINDOW_UPDATE, 0, 1)))
    client.send(channel, b"more")
    assert carry(client, server) == [Received(channel, b"more")]
