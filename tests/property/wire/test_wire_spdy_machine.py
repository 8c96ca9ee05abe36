"""A client and a server that talk SPDY with delays: what is sent arrives in order, windows are never exceeded."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cricket.wire.mux import Accepted, Ended, Event, Gone, Opened, Received, WasReset
from cricket.wire.spdy_session import OUR_WINDOW, SpdySession


class End:
    """One end with what it knows of its streams."""

    def __init__(self, session: SpdySession) -> None:
        self.session = session
        self.wire = b""
        self.usable: list[int] = []
        self.sent: dict[int, bytes] = {}
        self.got: dict[int, bytes] = {}
        self.waiting: dict[int, int] = {}
        self.ended_ours: set[int] = set()
        self.ended_theirs: set[int] = set()
        self.gone: set[int] = set()

    def push(self) -> None:
        self.wire += b"".join(self.session.output())


class Conversation(RuleBasedStateMachine):
    """Bytes wait on the wire until `deliver` moves some of them."""

    @initialize(flow=st.booleans())
    def begin(self, flow: bool) -> None:
        self.flow = flow
        client = SpdySession(server=False)
        if not flow:
            client.output()
        self.client, self.server = End(client), End(SpdySession(server=True))

    def ends(self, client: bool) -> tuple[End, End]:
        return (self.client, self.server) if client else (self.server, self.client)

    @precondition(lambda self: len(self.client.sent) < 6)
    @rule()
    def open(self) -> None:
        channel = self.client.session.open({"n": "1"})
        self.client.sent[channel] = b""
        self.client.push()

    @precondition(lambda self: self.client.usable or self.server.usable)
    @rule(client=st.booleans(), pick=st.integers(0, 9), size=st.integers(1, 200_000))
    def send(self, client: bool, pick: int, size: int) -> None:
        end, _ = self.ends(client)
        channel = self._pick(end, pick)
        if channel is None or channel in end.ended_ours:
            return
        size = min(size, end.session.sendable(channel))
        data = bytes([len(end.sent[channel]) % 256]) * size
        end.session.send(channel, data)
        if channel not in end.gone:
            end.sent[channel] += data
        end.push()

    @rule(client=st.booleans(), pick=st.integers(0, 9), reset=st.booleans())
    def finish(self, client: bool, pick: int, reset: bool) -> None:
        end, _ = self.ends(client)
        channel = self._pick(end, pick)
        if channel is None:
            return
        if reset:
            end.session.reset(channel)
            end.gone.add(channel)
        else:
            end.session.end(channel)
            end.ended_ours.add(channel)
        end.push()

    @rule(client=st.booleans(), size=st.integers(1, 300_000))
    def deliver(self, client: bool, size: int) -> None:
        source, target = self.ends(client)
        data, source.wire = source.wire[:size], source.wire[size:]
        for event in target.session.receive(data):
            self._note(target, event)
        target.push()

    @rule(client=st.booleans(), pick=st.integers(0, 9))
    def consume(self, client: bool, pick: int) -> None:
        end, _ = self.ends(client)
        channel = self._pick(end, pick)
        if channel is not None and end.waiting.get(channel):
            end.session.consumed(channel, end.waiting.pop(channel))
            end.push()

    def _pick(self, end: End, pick: int) -> int | None:
        return end.usable[pick % len(end.usable)] if end.usable else None

    def _note(self, end: End, event: Event) -> None:
        assert not isinstance(event, Gone), event
        if isinstance(event, Opened):
            end.session.accept(event.channel)
            end.sent[event.channel] = b""
            end.usable.append(event.channel)
        elif isinstance(event, Accepted):
            end.usable.append(event.channel)
        elif isinstance(event, Received):
            assert event.channel not in end.ended_theirs | end.gone
            end.got[event.channel] = end.got.get(event.channel, b"") + event.data
            end.waiting[event.channel] = end.waiting.get(event.channel, 0) + len(event.data)
        elif isinstance(event, Ended):
            assert event.channel not in end.ended_theirs | end.gone
            end.ended_theirs.add(event.channel)
        elif isinstance(event, WasReset):
            assert event.channel not in end.gone
            end.gone.add(event.channel)

    @invariant()
    def in_order_and_within_the_window(self) -> None:
        if not hasattr(self, "client"):
            return
        for end, other in (self.ends(True), self.ends(False)):
            for channel, got in end.got.items():
                assert other.sent[channel].startswith(got)
            if self.flow:
                assert all(size <= OUR_WINDOW for size in end.waiting.values())
            for channel in end.ended_theirs - end.gone - other.gone:
                assert end.got.get(channel, b"") == other.sent[channel]


Conversation.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestConversation = Conversation.TestCase
