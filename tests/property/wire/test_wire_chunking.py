"""However the bytes of a connection are cut, the same comes out; and nothing that comes in raises."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from cricket.errors import InvalidArgument
from cricket.wire.channel_mux import ChannelMux
from cricket.wire.http1 import parse_request
from cricket.wire.logline import LogLine, format_line, parse_line
from cricket.wire.mux import Event, Mux, Received
from cricket.wire.remotecommand import WEBSOCKET_DIALECTS, Dialect
from cricket.wire.spdy_session import SpdySession
from cricket.wire.tunnel_mux import TunnelMux
from cricket.wire.websocket import BINARY, TEXT, encode_frame

headers = st.dictionaries(st.text("abcdefgh-", min_size=1, max_size=8), st.text(max_size=20), max_size=4)
payloads = st.binary(max_size=300)
cuts = st.lists(st.integers(0, 4000), max_size=30)
dialects = st.sampled_from(list(WEBSOCKET_DIALECTS.values()))
actions = st.lists(
    st.one_of(
        st.tuples(st.just("open"), headers),
        st.tuples(st.just("send"), st.integers(0, 5), payloads),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("reset"), st.integers(0, 5)),
        st.tuples(st.just("ping"), st.integers(0, 9)),
        st.tuples(st.just("close")),
    ),
    max_size=25,
)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut for cut in at if cut < len(data)), len(data)]
    return [data[a:b] for a, b in zip(borders, borders[1:], strict=False)]


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of one channel as one: how data is cut into pieces means nothing."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Received) and isinstance(last, Received) and last.channel == event.channel:
            out[-1] = Received(event.channel, last.data + event.data)
        else:
            out.append(event)
    return out


def fed(mux: Mux, parts: list[bytes]) -> tuple[list[Event], bytes]:
    events: list[Event] = []
    for part in parts:
        events += mux.receive(part)
    return joined(events), b"".join(mux.output())


def spoken(script: list[tuple[object, ...]], client: SpdySession | TunnelMux) -> bytes:
    """What a client sends that acts without waiting for answers, as a hostile one may."""
    session = client.session if isinstance(client, TunnelMux) else client
    channels: list[int] = []
    for name, *arguments in script:
        if name == "open":
            with contextlib.suppress(InvalidArgument):
                channels.append(session.open(arguments[0]))  # type: ignore[arg-type]  # a script
        elif name == "ping":
            session.ping(arguments[0])  # type: ignore[arg-type]  # a script
        elif name == "close":
            session.close()
        elif channels:
            channel = channels[arguments[0] % len(channels)]  # type: ignore[operator]  # a script
            getattr(session, str(name))(channel, *arguments[1:])
    return b"".join(client.output())


@given(actions, cuts)
def test_spdy(script: list[tuple[object, ...]], at: list[int]) -> None:
    data = spoken(script, SpdySession(server=False))
    whole = fed(SpdySession(server=True), [data])
    assert fed(SpdySession(server=True), pieces(data, at)) == whole


@given(actions, cuts)
def test_tunnel(script: list[tuple[object, ...]], at: list[int]) -> None:
    data = spoken(script, TunnelMux(server=False))
    events, _ = fed(TunnelMux(server=True), [data])
    assert fed(TunnelMux(server=True), pieces(data, at))[0] == events


@given(dialects, st.lists(st.tuples(st.integers(0, 4), payloads), max_size=10), cuts, st.booleans())
def test_channels(dialect: Dialect, messages: list[tuple[int, bytes]], at: list[int], server: bool) -> None:
    sender = ChannelMux(dialect, 5, server=not server)
    for channel, data in messages:
        sender.send(channel, data)
    data = b"".join(sender.output())
    expected = joined([Received(channel, data) for channel, data in messages if data])
    assert fed(ChannelMux(dialect, 5, server=server), pieces(data, at)) == (expected, b"")


@given(dialects, st.lists(payloads, min_size=1, max_size=6), cuts)
def test_fragments_of_a_message(dialect: Dialect, parts: list[bytes], at: list[int]) -> None:
    sender = ChannelMux(dialect, 5, server=True)
    sender.send(1, b"".join(parts))
    whole = b"".join(sender.output())
    opcode = TEXT if dialect.base64 else BINARY
    start = 2 if len(whole) < 128 else 4
    rest, data = whole[start:], b""
    frames = [rest[i : i + 7] for i in range(0, len(rest), 7)]
    for number, part in enumerate(frames):
        data += encode_frame(opcode if number == 0 else 0, part, masked=True, fin=number == len(frames) - 1)
    content = b"".join(parts)
    expected = [Received(1, content)] if content else []
    assert fed(ChannelMux(dialect, 5, server=True), pieces(data, at)) == (expected, b"")


@settings(max_examples=300)
@given(dialects, st.binary(max_size=2000), cuts)
def test_noise_never_raises(dialect: Dialect, noise: bytes, at: list[int]) -> None:
    makers = (
        lambda: SpdySession(server=True),
        lambda: SpdySession(server=False),
        lambda: TunnelMux(server=True),
        lambda: ChannelMux(dialect, 5, server=True),
        lambda: ChannelMux(dialect, 5, server=False),
    )
    for make in makers:
        for parts in ([noise], pieces(noise, at)):
            mux: Mux = make()
            fed(mux, parts)
            mux.close()
            mux.output()


@settings(max_examples=300)
@given(actions, st.integers(0, 5000), st.integers(0, 255))
def test_a_flipped_byte_never_raises(script: list[tuple[object, ...]], where: int, value: int) -> None:
    for client, server in (
        (SpdySession(server=False), SpdySession(server=True)),
        (TunnelMux(server=False), TunnelMux(server=True)),
    ):
        data = bytearray(spoken(script, client))  # type: ignore[arg-type]  # the pairs are homogeneous
        if data:
            data[where % len(data)] ^= value
        fed(server, [bytes(data)])


@given(st.binary(max_size=500))
def test_a_request_head_is_parsed_or_refused(data: bytes) -> None:
    for head in (data + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(InvalidArgument):
            parse_request(head)


@given(
    st.integers(-(10**18), 10**19),
    st.sampled_from(["stdout", "stderr"]),
    st.booleans(),
    st.binary(max_size=100).filter(lambda t: b"\n" not in t),
)
def test_log_lines_round_trip(timestamp: int, stream: str, partial: bool, text: bytes) -> None:
    line = LogLine(timestamp, stream, partial, text)
    assert parse_line(format_line(line)) == line


@given(st.binary(max_size=100))
def test_a_log_line_is_parsed_or_refused(data: bytes) -> None:
    for record in (data, b"2016-10-06T00:17:09Z " + data):
        with contextlib.suppress(InvalidArgument):
            parse_line(record)
