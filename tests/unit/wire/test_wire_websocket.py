from __future__ import annotations

import base64

import pytest

from cricket.wire.channel_mux import ChannelMux
from cricket.wire.mux import Ended, Gone, Opened, ProtocolViolation, Received
from cricket.wire.remotecommand import WEBSOCKET_DIALECTS
from cricket.wire.tunnel_mux import TunnelMux
from cricket.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    FrameDecoder,
    Piece,
    WebSocketConnection,
    accept_key,
    encode_frame,
)

V5 = WEBSOCKET_DIALECTS["v5.channel.k8s.io"]
V4 = WEBSOCKET_DIALECTS["v4.channel.k8s.io"]
BASE64 = WEBSOCKET_DIALECTS["base64.channel.k8s.io"]


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    return encode_frame(opcode, payload, masked=True, fin=fin)


def test_the_key_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for bad in ("", "short", "!" * 24, base64.b64encode(bytes(17)).decode()):
        with pytest.raises(ProtocolViolation):
            accept_key(bad)


def test_the_masked_hello_of_the_rfc() -> None:
    data = bytes.fromhex("818537fa213d7f9f4d5158")
    assert list(FrameDecoder(masked=True).feed(data)) == [Piece(TEXT, b"Hello", True, True)]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 70000])
def test_lengths(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    for masked in (True, False):
        pieces = list(FrameDecoder(masked=masked).feed(encode_frame(BINARY, data, masked=masked)))
        assert pieces == [Piece(BINARY, data, True, True)]


def test_fragments_with_a_ping_between() -> None:
    server = WebSocketConnection(server=True)
    found = server.receive(frame(BINARY, b"ab", fin=False) + frame(PING, b"!") + frame(CONTINUATION, b"cd"))
    assert found == [Piece(BINARY, b"ab", True, False), Piece(BINARY, b"cd", False, True)]
    assert server.output() == [bytes([0x8A, 1]) + b"!"]


@pytest.mark.parametrize(
    "data",
    [
        encode_frame(BINARY, b"x", masked=False),
        frame(CONTINUATION, b"x"),
        frame(BINARY, b"x", fin=False) + frame(BINARY, b"x"),
        frame(3, b"x"),
        frame(11, b"x"),
        frame(PING, bytes(126)),
        frame(PING, b"x", fin=False),
        bytes([0xC2, 0x80]) + bytes(4),
        bytes([0x82, 0xFF]) + b"\xff" * 8 + bytes(4),
        frame(CLOSE, b"x"),
    ],
)
def test_hostile_frames_close_with_a_protocol_error(data: bytes) -> None:
    server = WebSocketConnection(server=True)
    last = server.receive(data)[-1]
    assert isinstance(last, Gone) and last.violation
    assert server.output() == [bytes([0x88, 2]) + (1002).to_bytes(2, "big")]
    assert server.receive(frame(BINARY, b"x")) == []


def test_close_is_answered_once() -> None:
    server = WebSocketConnection(server=True)
    assert server.receive(frame(CLOSE, (1000).to_bytes(2, "big"))) == [Gone("the peer closed the WebSocket")]
    assert server.output() == [bytes([0x88, 2]) + (1000).to_bytes(2, "big")]
    server.close()
    server.send(BINARY, b"late")
    assert server.output() == []


def test_channels_in_both_forms() -> None:
    binary, text = ChannelMux(V4, 5, server=True), ChannelMux(BASE64, 5, server=True)
    assert binary.receive(frame(BINARY, b"\x00abc")) == [Received(0, b"abc")]
    assert text.receive(frame(TEXT, b"0YWJj")) == [Received(0, b"abc")]
    binary.send(1, b"out")
    text.send(1, b"out")
    assert binary.output() == [encode_frame(BINARY, b"\x01out", masked=False)]
    assert text.output() == [encode_frame(TEXT, b"1b3V0", masked=False)]


def test_the_close_signal_is_for_version_5() -> None:
    assert ChannelMux(V5, 5, server=True).receive(frame(BINARY, b"\xff\x00")) == [Ended(0)]
    assert ChannelMux(V4, 5, server=True).receive(frame(BINARY, b"\xff\x00")) == []


def test_after_the_close_signal_nothing_is_taken() -> None:
    mux = ChannelMux(V5, 5, server=True)
    data = frame(BINARY, b"\xff\x00") + frame(BINARY, b"\x00x") + frame(BINARY, b"\xff\x00")
    assert mux.receive(data) == [Ended(0)]


def test_unknown_channels_and_empty_messages_are_ignored() -> None:
    mux = ChannelMux(V5, 5, server=True)
    assert mux.receive(frame(BINARY, b"\x09data") + frame(BINARY, b"") + frame(BINARY, b"\x01")) == []


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        (V5, b"\xff"),
        (V5, b"\xff\x00\x00"),
        (V5, b"\xff\x05"),
        (BASE64, b"0YWJ"),
        (BASE64, b"0Y!Jj"),
        (BASE64, b"0YQ==YWJj"),
        (BASE64, b"0YQ=\xff"),
    ],
)
def test_malformed_messages_close(dialect: object, message: bytes) -> None:
    mux = ChannelMux(dialect, 5, server=True)  # type: ignore[arg-type]  # parametrised
    last = mux.receive(frame(BINARY, message))[-1]
    assert isinstance(last, Gone) and last.violation
    assert mux.output()[-1][-2:] == (1007).to_bytes(2, "big")


def test_a_tunnel_carries_streams() -> None:
    server, client = TunnelMux(server=True), TunnelMux(server=False)
    channel = client.open({"port": "80"})
    assert server.receive(b"".join(client.output()))[-1] == Opened(channel, {"port": "80"})
    server.accept(channel)
    server.send(channel, b"hello")
    assert Received(channel, b"hello") in client.receive(b"".join(server.output()))
    client.reset(channel)
    client.close()
    last = server.receive(b"".join(client.output()))[-1]
    assert last == Gone("the peer said goodbye")
    assert b"".join(server.output())[-4:] == b"\x88\x02\x03\xe8"


def test_text_in_a_tunnel_is_refused() -> None:
    last = TunnelMux(server=True).receive(frame(TEXT, b"x"))[-1]
    assert isinstance(last, Gone) and last.violation
