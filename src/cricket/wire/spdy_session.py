"""One end of a SPDY/3.1 connection as a state machine: streams, flow control, ping, reset and goaway.

Flow control. The Go library of Kubernetes' clients and servers (spdystream) has none: it sends as it likes, ignores
WINDOW_UPDATE and never sends one. A peer that has it shows so by a SETTINGS frame with an initial window or by a
WINDOW_UPDATE; from then on windows are kept in both directions (draft 3.1, section 2.6.8). Towards every other peer
the caller must slow down by not reading the connection.
"""

from __future__ import annotations

from cricket.wire.mux import (
    UNLIMITED,
    Accepted,
    Ended,
    Event,
    Gone,
    Opened,
    ProtocolViolation,
    Received,
    WasReset,
    Writable,
)
from cricket.wire.spdy_frames import (
    SETTING_INITIAL_WINDOW,
    Control,
    Data,
    Frame,
    FrameDecoder,
    FrameEncoder,
    Headers,
    Rst,
    Settings,
    Type,
)

DEFAULT_WINDOW = 64 << 10
OUR_WINDOW = 256 << 10
OUR_SESSION_WINDOW = 1 << 20  # so that a stream whose window is full leaves room for others
MAX_WINDOW = (1 << 31) - 1
MAX_STREAMS = 1000
_MAX_ID = (1 << 31) - 1


class _Stream:
    """State of an open stream; it is forgotten when both directions are closed."""

    __slots__ = ("local_open", "remote_open", "replied", "send_window", "recv_window", "unannounced")

    def __init__(self, send_window: int, recv_window: int, *, local_open: bool, remote_open: bool, replied: bool):
        self.send_window, self.recv_window, self.unannounced = send_window, recv_window, 0
        self.local_open, self.remote_open, self.replied = local_open, remote_open, replied


class SpdySession:
    """A `Mux` of SPDY streams. The client opens streams (odd ids), the server accepts them."""

    def __init__(self, *, server: bool) -> None:
        self._server = server
        self._decoder, self._encoder = FrameDecoder(), FrameEncoder()
        self._out: list[bytes] = []
        self._streams: dict[int, _Stream] = {}
        self._next_id = 2 if server else 1
        self._last_peer_id = 0
        self._flow = self._settings_sent = False
        self._peer_initial = self._our_initial = DEFAULT_WINDOW
        self._send_window = self._recv_window = DEFAULT_WINDOW
        self._unannounced = 0
        self._said_goodbye = self._dead = self._peer_leaves = False
        if not server:
            self._announce_flow()

    # --- the Mux interface ------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """See Mux."""
        events: list[Event] = []
        if self._dead:
            return events
        try:
            for frame in self._decoder.feed(data):
                self._handle(frame, events)
                if self._dead:
                    break
        except ProtocolViolation as e:
            self._goaway(1)
            self._die(events, str(e), violation=True)
        return events

    def output(self) -> list[bytes]:
        """See Mux."""
        out, self._out = self._out, []
        return out

    def accept(self, channel: int) -> None:
        """Send SYN_REPLY."""
        stream = self._streams.get(channel)
        if stream is not None and not stream.replied:
            stream.replied = True
            self._out.append(self._encoder.headers(Headers(Type.SYN_REPLY, channel, {})))

    def sendable(self, channel: int) -> int:
        """See Mux."""
        stream = self._streams.get(channel)
        if stream is None or not self._flow:
            return UNLIMITED
        return max(0, min(stream.send_window, self._send_window))

    def send(self, channel: int, data: bytes | memoryview) -> None:
        """Queue one data frame."""
        stream = self._streams.get(channel)
        if stream is None or not stream.local_open or not len(data):
            return
        stream.send_window -= len(data)
        self._send_window -= len(data)
        self._out += [self._encoder.data_header(channel, len(data), False), bytes(data)]

    def end(self, channel: int) -> None:
        """Send an empty data frame with FIN."""
        stream = self._streams.get(channel)
        if stream is not None and stream.local_open:
            stream.local_open = False
            self._out.append(self._encoder.data_header(channel, 0, True))
            self._forget_closed(channel, stream)

    def reset(self, channel: int) -> None:
        """Send RST_STREAM with CANCEL."""
        if self._streams.pop(channel, None) is not None:
            self._rst(channel, Rst.CANCEL)

    def consumed(self, channel: int, size: int) -> None:
        """See Mux: WINDOW_UPDATE when half a window is free, to a peer that knows flow control."""
        self._unannounced += size
        stream = self._streams.get(channel)
        if stream is not None:
            stream.unannounced += size
        if not self._flow:
            return
        if self._unannounced >= DEFAULT_WINDOW // 2:
            self._recv_window += self._window_update(0, self._unannounced)
            self._unannounced = 0
        if stream is not None and stream.remote_open and stream.unannounced >= self._our_initial // 2:
            stream.recv_window += self._window_update(channel, stream.unannounced)
            stream.unannounced = 0

    def close(self) -> None:
        """Send GOAWAY."""
        self._goaway(0)

    # --- beyond the Mux ---------------------------------------------------------------------------------------

    def open(self, headers: dict[str, str]) -> int:
        """Open a stream and return its id; wait for `Accepted` before sending. ProtocolViolation when none is left."""
        if self._said_goodbye or self._peer_leaves or self._next_id > _MAX_ID:
            raise ProtocolViolation("the SPDY session takes no new streams")
        channel, self._next_id = self._next_id, self._next_id + 2
        self._streams[channel] = self._new_stream(replied=False)
        self._out.append(self._encoder.headers(Headers(Type.SYN_STREAM, channel, headers)))
        return channel

    def ping(self, number: int = 0) -> None:
        """Send a PING of our own; the peer's answer is not reported."""
        own = number * 2 + (2 if self._server else 1)
        self._out.append(self._encoder.control(Control(Type.PING, own & 0xFFFFFFFF)))

    @property
    def flow_control(self) -> bool:
        """True when the peer has shown that it knows flow control."""
        return self._flow

    @property
    def open_streams(self) -> int:
        """Streams of which at least one direction is open."""
        return len(self._streams)

    # --- frames -----------------------------------------------------------------------------------------------

    def _handle(self, frame: Frame, events: list[Event]) -> None:
        if isinstance(frame, Data):
            self._on_data(frame, events)
        elif isinstance(frame, Settings):
            self._on_settings(frame, events)
        elif isinstance(frame, Headers):
            self._on_headers(frame, events)
        elif frame.type is Type.PING:
            if frame.stream & 1 == (1 if self._server else 0):
                self._out.append(self._encoder.control(frame))
        elif frame.type is Type.WINDOW_UPDATE:
            self._on_window_update(frame, events)
        elif frame.type is Type.RST_STREAM:
            if self._streams.pop(frame.stream, None) is not None:
                events.append(WasReset(frame.stream))
                self._die_if_idle(events)
        elif frame.type is Type.GOAWAY:
            self._peer_leaves = True
            self._die_if_idle(events)

    def _on_data(self, frame: Data, events: list[Event]) -> None:
        size = len(frame.data)
        self._recv_window -= size
        stream = self._streams.get(frame.stream)
        if stream is None or not stream.remote_open:
            self._unknown_data(frame.stream, size)
            return
        stream.recv_window -= size
        if self._flow and (stream.recv_window < 0 or self._recv_window < 0):
            if self._recv_window < 0:
                raise ProtocolViolation("the peer sent more than the SPDY session window allows")
            del self._streams[frame.stream]
            self._rst(frame.stream, Rst.FLOW_CONTROL_ERROR)
            self.consumed(frame.stream, size)
            events.append(WasReset(frame.stream))
            return
        if size:
            events.append(Received(frame.stream, frame.data))
        if frame.fin:
            self._remote_end(frame.stream, stream, events)

    def _unknown_data(self, channel: int, size: int) -> None:
        """Data for a closed stream was under way and is dropped; for one that never was, the peer is told."""
        ours = channel % 2 == (0 if self._server else 1)
        known = channel < self._next_id if ours else channel <= self._last_peer_id
        if not known:
            self._rst(channel, Rst.INVALID_STREAM)
        self.consumed(channel, size)

    def _on_headers(self, frame: Headers, events: list[Event]) -> None:
        if frame.type is Type.SYN_STREAM:
            self._on_syn_stream(frame, events)
            return
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        if frame.type is Type.SYN_REPLY and not stream.replied:
            stream.replied = True
            events.append(Accepted(frame.stream))
        if frame.fin and stream.remote_open:
            self._remote_end(frame.stream, stream, events)

    def _on_syn_stream(self, frame: Headers, events: list[Event]) -> None:
        channel = frame.stream
        if channel == 0:
            raise ProtocolViolation("a SPDY stream has the id 0")
        if channel <= self._last_peer_id or channel % 2 != (1 if self._server else 0):
            self._rst(channel, Rst.PROTOCOL_ERROR)
            return
        self._last_peer_id = channel
        if self._said_goodbye or self._peer_leaves:
            return
        if len(self._streams) >= MAX_STREAMS:
            self._rst(channel, Rst.REFUSED_STREAM)
            return
        stream = self._new_stream(replied=False)
        stream.local_open = not frame.unidirectional
        self._streams[channel] = stream
        events.append(Opened(channel, frame.headers))
        if frame.fin:
            self._remote_end(channel, stream, events)

    def _on_settings(self, frame: Settings, events: list[Event]) -> None:
        window = frame.values.get(SETTING_INITIAL_WINDOW)
        if window is None:
            return
        if window > MAX_WINDOW:
            raise ProtocolViolation("the initial window of a SPDY SETTINGS frame is too large")
        grown, self._peer_initial = window - self._peer_initial, window
        for stream in self._streams.values():
            stream.send_window += grown
            if stream.send_window > MAX_WINDOW:
                raise ProtocolViolation("a SPDY SETTINGS frame makes a window overflow")
        self._flow_found()
        events.append(Writable(0))

    def _on_window_update(self, frame: Control, events: list[Event]) -> None:
        delta, stream = frame.value, self._streams.get(frame.stream)
        if frame.stream == 0:
            if not 0 < delta <= MAX_WINDOW - self._send_window:
                raise ProtocolViolation("a SPDY WINDOW_UPDATE makes the session window overflow, or is 0")
            self._send_window += delta
        elif stream is not None:
            if not 0 < delta <= MAX_WINDOW - stream.send_window:
                del self._streams[frame.stream]
                self._rst(frame.stream, Rst.FLOW_CONTROL_ERROR)
                events.append(WasReset(frame.stream))
                return
            stream.send_window += delta
        self._flow_found()
        events.append(Writable(frame.stream))

    # --- state ------------------------------------------------------------------------------------------------

    def _new_stream(self, *, replied: bool) -> _Stream:
        return _Stream(self._peer_initial, self._our_initial, local_open=True, remote_open=True, replied=replied)

    def _flow_found(self) -> None:
        if self._flow:
            return
        self._flow = True
        self._announce_flow()
        for channel in list(self._streams):
            self.consumed(channel, 0)
        self.consumed(0, 0)

    def _announce_flow(self) -> None:
        """Widen our windows from the draft's 64 KiB, which also tells the peer that we know flow control."""
        if self._settings_sent:
            return
        self._settings_sent = True
        self._out.append(self._encoder.settings(Settings({SETTING_INITIAL_WINDOW: OUR_WINDOW})))
        self._recv_window += self._window_update(0, OUR_SESSION_WINDOW - DEFAULT_WINDOW)
        self._our_initial = OUR_WINDOW
        for stream in self._streams.values():
            stream.recv_window += OUR_WINDOW - DEFAULT_WINDOW

    def _remote_end(self, channel: int, stream: _Stream, events: list[Event]) -> None:
        stream.remote_open = False
        events.append(Ended(channel))
        self._forget_closed(channel, stream)
        self._die_if_idle(events)

    def _forget_closed(self, channel: int, stream: _Stream) -> None:
        if not stream.local_open and not stream.remote_open:
            del self._streams[channel]

    def _die_if_idle(self, events: list[Event]) -> None:
        if self._peer_leaves and not self._streams:
            self._die(events, "the peer said goodbye")

    def _die(self, events: list[Event], reason: str, *, violation: bool = False) -> None:
        self._dead = True
        self._streams.clear()
        events.append(Gone(reason, violation))

    def _window_update(self, channel: int, delta: int) -> int:
        delta = min(delta, MAX_WINDOW)
        self._out.append(self._encoder.control(Control(Type.WINDOW_UPDATE, channel, delta)))
        return delta

    def _rst(self, channel: int, status: Rst) -> None:
        self._out.append(self._encoder.control(Control(Type.RST_STREAM, channel, status)))

    def _goaway(self, status: int) -> None:
        if not self._said_goodbye:
            self._said_goodbye = True
            self._out.append(self._encoder.control(Control(Type.GOAWAY, self._last_peer_id, status)))
