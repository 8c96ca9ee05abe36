"""Kubernetes channels in WebSocket messages: the first byte of each message names the channel.

Binary form: byte n. Base64 form: the digit n in text messages, then base64. Version 5 has a half-close signal: the two
bytes 255, n (only clients send it). Source: k8s.io/streaming `pkg/httpstream/wsstream`.
"""

from __future__ import annotations

import base64
import binascii

from cricket.wire.mux import UNLIMITED, Ended, Event, Gone, ProtocolViolation, Received
from cricket.wire.remotecommand import CLOSE_SIGNAL, Dialect
from cricket.wire.websocket import BAD_DATA, BINARY, NORMAL, TEXT, Piece, WebSocketConnection

_IGNORED = -1


class ChannelMux:
    """A `Mux` of the channels 0 to count-1, all open from the start."""

    def __init__(self, dialect: Dialect, count: int, *, server: bool) -> None:
        self._dialect, self._count, self._server = dialect, count, server
        self._socket = WebSocketConnection(server=server)
        self._channel: int | None = None
        self._rest = b""
        self._padded = False
        self._ended: set[int] = set()
        self._finished: set[int] = set()
        self._dead = False

    def receive(self, data: bytes) -> list[Event]:
        """See Mux."""
        events: list[Event] = []
        for piece in [] if self._dead else self._socket.receive(data):
            if isinstance(piece, Gone):
                self._dead = True
                events.append(piece)
                break
            try:
                self._piece(piece, events)
            except ProtocolViolation as e:
                self._dead = True
                events.append(self._socket.fail(str(e), BAD_DATA))
                break
        return events

    def output(self) -> list[bytes]:
        """See Mux."""
        return self._socket.output()

    def accept(self, channel: int) -> None:
        """Channels need no accepting."""

    def sendable(self, channel: int) -> int:
        """WebSocket has no flow control."""
        return UNLIMITED

    def send(self, channel: int, data: bytes | memoryview) -> None:
        """Queue one message; empty data makes an empty message, which some clients wait for at the start."""
        if channel in self._finished:
            return
        if self._dialect.base64:
            self._socket.send(TEXT, b"%d" % channel + base64.b64encode(data))
        else:
            self._socket.send(BINARY, bytes([channel]) + data)

    def end(self, channel: int) -> None:
        """A client of version 5 sends the close signal; nobody else can half-close."""
        if channel not in self._finished:
            self._finished.add(channel)
            if self._dialect.half_close and not self._server:
                self._socket.send(BINARY, bytes([CLOSE_SIGNAL, channel]))

    def reset(self, channel: int) -> None:
        """There is no reset; the channel is ended."""
        self.end(channel)

    def consumed(self, channel: int, size: int) -> None:
        """WebSocket has no flow control."""

    def close(self) -> None:
        """Queue a normal close."""
        self._socket.close(NORMAL)

    def ping(self) -> None:
        """Queue a ping."""
        self._socket.ping()

    def _piece(self, piece: Piece, events: list[Event]) -> None:
        data = piece.data
        if piece.first:
            self._channel, self._rest, self._padded = None, b"", False
        if self._channel is None:
            if not data:
                return  # an empty message, or its channel byte is still to come
            number, data = data[0], data[1:]
            if self._dialect.base64:
                number -= ord("0")
            known = 0 <= number < self._count or (self._dialect.half_close and number == CLOSE_SIGNAL)
            self._channel = number if known else _IGNORED
        if self._channel == CLOSE_SIGNAL:
            self._close_signal(data, piece.last, events)
        elif self._channel != _IGNORED:
            plain = self._decoded(data, piece.last) if self._dialect.base64 else data
            if plain and self._channel not in self._ended:
                events.append(Received(self._channel, plain))

    def _close_signal(self, data: bytes, last: bool, events: list[Event]) -> None:
        self._rest += data
        if len(self._rest) > 1 or (last and len(self._rest) != 1) or (self._rest and self._rest[0] >= self._count):
            raise ProtocolViolation("a close signal does not name one channel")
        if last and self._rest[0] not in self._ended:
            self._ended.add(self._rest[0])
            events.append(Ended(self._rest[0]))

    def _decoded(self, data: bytes, last: bool) -> bytes:
        data = self._rest + data
        whole = len(data) - len(data) % 4
        data, self._rest = data[:whole], data[whole:]
        if (self._padded and data) or (last and self._rest):
            raise ProtocolViolation("the base64 of a message is cut short or goes on after its end")
        self._padded = self._padded or data.endswith(b"=")
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as e:
            raise ProtocolViolation("a message is not base64") from e
