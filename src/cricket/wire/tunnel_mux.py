"""SPDY/3.1 inside the binary messages of a WebSocket (subprotocol `SPDY/3.1+portforward.k8s.io`)."""

from __future__ import annotations

from cricket.wire.mux import Event, Gone
from cricket.wire.spdy_session import SpdySession
from cricket.wire.websocket import BAD_DATA, BINARY, TEXT, WebSocketConnection


class TunnelMux:
    """A `Mux`: the streams are those of the SPDY session; how the bytes are cut into messages means nothing."""

    def __init__(self, *, server: bool) -> None:
        self.session = SpdySession(server=server)
        self._socket = WebSocketConnection(server=server)
        self._dead = False

    def receive(self, data: bytes) -> list[Event]:
        """See Mux."""
        events: list[Event] = []
        for piece in [] if self._dead else self._socket.receive(data):
            if isinstance(piece, Gone):
                events.append(piece)
            elif piece.opcode == TEXT:
                events.append(self._socket.fail("a text message came in a SPDY tunnel", BAD_DATA))
            else:
                events += self.session.receive(piece.data)
            if events and isinstance(events[-1], Gone):
                self._dead = True
                self.close()
                break
        return events

    def output(self) -> list[bytes]:
        """See Mux."""
        self._wrap()
        return self._socket.output()

    def close(self) -> None:
        """GOAWAY, then the close frame."""
        self.session.close()
        self._wrap()
        self._socket.close()

    def ping(self) -> None:
        """Queue a WebSocket ping."""
        self._socket.ping()

    def _wrap(self) -> None:
        inner = self.session.output()
        if inner:
            self._socket.send(BINARY, b"".join(inner))

    def accept(self, channel: int) -> None:
        """See SpdySession."""
        self.session.accept(channel)

    def sendable(self, channel: int) -> int:
        """See SpdySession."""
        return self.session.sendable(channel)

    def send(self, channel: int, data: bytes | memoryview) -> None:
        """See SpdySession."""
        self.session.send(channel, data)

    def end(self, channel: int) -> None:
        """See SpdySession."""
        self.session.end(channel)

    def reset(self, channel: int) -> None:
        """See SpdySession."""
        self.session.reset(channel)

    def consumed(self, channel: int, size: int) -> None:
        """See SpdySession."""
        self.session.consumed(channel, size)

    def open(self, headers: dict[str, str]) -> int:
        """See SpdySession."""
        return self.session.open(headers)
