"""What SPDY, WebSocket channels and SPDY inside WebSocket have in common: byte channels over one connection.

A `Mux` is fed with what the connection delivered and answers with events; what it wants to send is fetched with
`output()`. It never raises for what the peer sent: a violation ends in `Gone`, with the farewell in the output.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from cricket.errors import InvalidArgument

UNLIMITED = 1 << 30


class ProtocolViolation(InvalidArgument):
    """The peer broke the protocol; only its own connection suffers."""


class Opened(msgspec.Struct, frozen=True):
    """The peer opened a channel; answer with `accept` or `reset`. Header names are lower case."""

    channel: int
    headers: dict[str, str]


class Accepted(msgspec.Struct, frozen=True):
    """The peer accepted a channel that we opened."""

    channel: int


class Received(msgspec.Struct, frozen=True):
    """Bytes came in on a channel; tell `consumed` when they are processed."""

    channel: int
    data: bytes


class Ended(msgspec.Struct, frozen=True):
    """The peer sends nothing more on this channel; our direction stays open."""

    channel: int


class WasReset(msgspec.Struct, frozen=True):
    """The peer gave the channel up in both directions."""

    channel: int


class Writable(msgspec.Struct, frozen=True):
    """`sendable` may have grown for this channel; 0 means for all."""

    channel: int


class Gone(msgspec.Struct, frozen=True):
    """The connection is over: nothing more comes, and after the pending output nothing more may be sent."""

    reason: str
    violation: bool = False


Event = Opened | Accepted | Received | Ended | WasReset | Writable | Gone


class Mux(Protocol):
    """Byte channels over one connection. Calls for a channel that is gone are ignored: it may go at any moment."""

    def receive(self, data: bytes) -> list[Event]:
        """Process bytes of the connection, cut anywhere."""

    def output(self) -> list[bytes]:
        """Take the bytes to send now; empty when there are none."""

    def accept(self, channel: int) -> None:
        """Agree to a channel that the peer opened."""

    def sendable(self, channel: int) -> int:
        """How many bytes the peer's flow control lets us send on this channel now."""

    def send(self, channel: int, data: bytes | memoryview) -> None:
        """Queue bytes; at most `sendable`."""

    def end(self, channel: int) -> None:
        """Half-close: we send nothing more on this channel. Idempotent."""

    def reset(self, channel: int) -> None:
        """Give the channel up in both directions. Idempotent."""

    def consumed(self, channel: int, size: int) -> None:
        """`size` received bytes were processed; lets the peer send more where the protocol has flow control."""

    def close(self) -> None:
        """Queue the farewell. Idempotent; what was queued before is still delivered."""
