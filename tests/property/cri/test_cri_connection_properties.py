"""Whatever a client sends, in whatever pieces: nothing raises, nothing hangs, every call is answered exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cricket.cri.connection import Connection
from cricket.cri.methods import Kind
from cricket.cri.outcome import Refusal
from cricket.cri.served import Route, Send, Served
from cricket.errors import Code
from cricket.wire import http2_frames as f
from cricket.wire.grpc_messages import framed
from cricket.wire.http2_frames import Reason, Setting, Type

LIMIT = 50_000
KINDS = ["read", "refused", "wait", "verb", "stream", "unknown", "nonsense", "html", "broken", "late"]


class Socket(asyncio.Transport):
    """Takes what is written, and may be full."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.reading, self.ended = True, False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.sent += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ended = True

    abort = close


class Client:
    """What it sends is a sequence of steps; what it hears is checked by the rules of RFC 9113 and counted."""

    def __init__(self) -> None:
        self.served = Served(self._routes(), LIMIT)
        self.connection, self.socket = Connection(self.served), Socket()
        self.connection.connection_made(self.socket)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.queue = bytearray(f.PREFACE + f.settings({}))
        self.window, self.initial, self.frame_size = f.DEFAULT_WINDOW, f.DEFAULT_WINDOW, 1 << 14
        self.settings = deque([(self.initial, self.frame_size)])  # that were not acknowledged
        self.spent: dict[int, int] = {}
        self.asked: dict[int, str] = {}
        self.begun: dict[int, bytes] = {}  # what is still to come of a request
        self.bodies: dict[int, bytes] = {}
        self.answers: dict[int, bytes] = {}
        self.reset: set[int] = set()
        self.outcomes: dict[int, list[str]] = {}
        self.full = False
        self._heard = 0

    def _routes(self) -> dict[bytes, Route]:
        async def wait(data: bytes) -> bytes:
            await asyncio.sleep(0)
            return data

        async def stream(data: bytes, send: Send) -> Refusal | None:
            for part in (data, b"", data):
                await send(part)
            return None

        def nothing() -> None:
            pass

        return {
            b"/read": Route(Kind.READ, lambda data: data * 3, nothing),
            b"/refused": Route(Kind.READ, lambda data: Refusal(Code.NOT_FOUND, "三" * 3000), nothing),
            b"/broken": Route(Kind.READ, lambda data: data[:0][1], nothing),
            b"/wait": Route(Kind.WAIT, wait, nothing),
            b"/late": Route(Kind.WAIT, wait, nothing),
            b"/verb": Route(Kind.VERB, wait, nothing),
            b"/stream": Route(Kind.STREAM, stream, nothing),
        }

    # --- steps ------------------------------------------------------------------------------------------------

    def open(self, kind: str, size: int) -> None:
        stream = 2 * len(self.asked) + 1
        self.asked[stream] = kind
        fields = [(":method", "POST"), (":scheme", "http"), (":path", "/" + kind)]
        fields += [("content-type", "text/html" if kind == "html" else "application/grpc")]
        fields += [("Connection", "x")] if kind == "nonsense" else []
        fields += [("grpc-timeout", "0m")] if kind == "late" else []
        self.queue += f.frame(Type.HEADERS, f.END_HEADERS, stream, bytes(self.encoder.encode(fields)))
        self.bodies[stream] = bytes((stream + i) % 251 for i in range(size))
        self.begun[stream] = framed(self.bodies[stream])

    def ask(self, kind: str, size: int) -> None:
        self.open(kind, size)
        self.go_on(len(self.begun) - 1, 1 << 14)

    def go_on(self, which: int, size: int) -> None:
        if self.begun:
            stream = list(self.begun)[which % len(self.begun)]
            part, rest = self.begun[stream][:size], self.begun[stream][size:]
            self.queue += f.frame(Type.DATA, 0 if rest else f.END_STREAM, stream, part)
            self.begun[stream] = rest
            if not rest:
                del self.begun[stream]

    def give_up(self, which: int) -> None:
        if self.asked:
            stream = list(self.asked)[which % len(self.asked)]
            self.queue += f.reset(stream, Reason.CANCEL)
            self.reset.add(stream)
            self.begun.pop(stream, None)

    def open_windows(self, which: int, size: int) -> None:
        stream = list(self.asked)[which % len(self.asked)] if self.asked and which % 3 else 0
        self.queue += f.window_update(stream, size)
        if stream:
            self.spent[stream] = self.spent.get(stream, 0) - size
        else:
            self.window += size

    def settle(self, window: int, frame_size: int) -> None:
        self.queue += f.settings({Setting.INITIAL_WINDOW_SIZE: window, Setting.MAX_FRAME_SIZE: frame_size})
        self.settings.append((window, frame_size))

    def fill(self, full: bool) -> None:
        if full != self.full and not self.socket.ended:
            self.full = full
            (self.connection.pause_writing if full else self.connection.resume_writing)()

    def deliver(self, step: int) -> None:
        """Send what is queued, and hear what is said."""
        self.send(step)
        self.hear()

    def send(self, step: int) -> None:
        """Send what is queued, in pieces, as far as the server reads."""
        while self.queue and self.socket.reading and not self.socket.ended:
            buffer = self.connection.get_buffer(-1)
            size = min(step, len(self.queue), len(buffer))
            buffer[:size] = self.queue[:size]
            del self.queue[:size]
            self.connection.buffer_updated(size)

    # --- what is heard ----------------------------------------------------------------------------------------

    def hear(self) -> None:
        data = self.socket.sent
        while len(data) - self._heard >= 9:
            length, kind, flags, stream = f.head(bytes(data[self._heard : self._heard + 9]), 0)
            payload = bytes(data[self._heard + 9 : self._heard + 9 + length])
            assert len(payload) == length <= self.frame_size
            self._heard += 9 + length
            self._on_frame(kind, flags, stream, payload)
        assert self._heard == len(data)

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            assert stream in self.asked
            said = self.outcomes.setdefault(stream, [])
            assert not {"end", "reset"} & set(said) or (kind == Type.RST_STREAM and "reset" not in said)
            if kind in (Type.HEADERS, Type.DATA) and flags & f.END_STREAM:
                said.append("end")
            elif kind == Type.RST_STREAM:
                said.append("reset")
        if kind == Type.SETTINGS and flags & f.ACK:
            self.initial, self.frame_size = self.settings.popleft()
        if kind == Type.HEADERS:
            assert flags & f.END_HEADERS
            self.decoder.decode(payload)
        if kind == Type.DATA:
            self.window -= len(payload)
            self.spent[stream] = self.spent.get(stream, 0) + len(payload)
            self.answers[stream] = self.answers.get(stream, b"") + payload
            assert not payload or (self.window >= 0 and self.initial - self.spent[stream] >= 0)

    def expected(self, stream: int) -> bytes:
        kind, body = self.asked[stream], self.bodies[stream]
        if kind == "html":
            return b"this is a CRI runtime: it speaks gRPC\n"
        if len(body) > LIMIT:
            return b""
        match kind:
            case "read":
                return framed(body * 3)
            case "wait" | "verb":
                return framed(body)
            case "stream":
                return framed(body) + framed(b"") + framed(body)
        return b""

    async def come_to_rest(self) -> None:
        """Open all windows, finish all requests, and let the server do what is left to do."""
        self.fill(False)
        for stream in tuple(self.begun):
            while stream in self.begun:
                self.go_on(list(self.begun).index(stream), 10_000)
        self.queue += f.window_update(0, 1 << 30)
        self.window += 1 << 30
        self.settle((1 << 30), 1 << 14)
        for _ in range(2000):
            await asyncio.sleep(0)
            self.deliver(1 << 16)
            if not self.queue and not self.served.tasks and self.connection.calls.idle and not self.connection.queued:
                return
        raise AssertionError("it does not come to rest")


STEP = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(KINDS), st.sampled_from([0, 1, 500, 20_000, LIMIT, LIMIT + 1])),
    st.tuples(st.just("ask"), st.sampled_from(["read", "wait", "stream"]), st.sampled_from([1, 500, 16_000])),
    st.tuples(st.just("go_on"), st.integers(0, 20), st.sampled_from([1, 4, 300, 16_384])),
    st.tuples(st.just("give_up"), st.integers(0, 20)),
    st.tuples(st.just("open_windows"), st.integers(0, 20), st.sampled_from([1, 70, 100_000])),
    st.tuples(st.just("settle"), st.sampled_from([0, 1, 100, 65_535, 1 << 20]), st.sampled_from([1 << 14, 1 << 20])),
    st.tuples(st.just("fill"), st.booleans()),
    st.tuples(st.just("deliver"), st.sampled_from([1, 7, 100, 1 << 16])),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    # The faults of /broken are meant.
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@settings(deadline=None)
@given(st.lists(STEP, max_size=40), st.sampled_from([0, 1, 100, 65_535]), st.booleans())
def test_every_call_is_answered_exactly_once(steps: list[tuple[Any, ...]], window: int, eager: bool) -> None:
    async def run() -> None:
        client = Client()
        client.settle(window, 1 << 14)
        for name, *values in steps:
            getattr(client, name)(*values)
            if eager:
                client.deliver(1 << 16)
            await asyncio.sleep(0)
        await client.come_to_rest()
        assert not client.socket.ended and client.served.held == 0 and not client.connection.calls.held
        for stream in client.asked:
            if stream not in client.reset:
                assert client.outcomes[stream][:1] in (["end"], ["reset"]), client.asked[stream]
                assert client.outcomes[stream][0] == "end" or client.asked[stream] == "nonsense"
                assert client.answers.get(stream, b"") == client.expected(stream)
        client.connection.connection_lost(None)
        assert not client.served.connections

    asyncio.run(run())


FRAMES = st.builds(
    f.frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 13, 0x20, 0x25, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 3, 5, 2, 0x7FFFFFFF]),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\x83\x86\x84", b"\x83\x86\x84\x5f\x10application/grpc", bytes(8), bytes(4), bytes(5)]),
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1 << 32)), max_size=5).map(
            lambda pairs: b"".join(k.to_bytes(2, "big") + (v % (1 << 32)).to_bytes(4, "big") for k, v in pairs)
        ),
    ),
)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=30), st.integers(1, 200))
def test_frames_of_any_kind_neither_raise_nor_hang(frames: list[bytes], step: int) -> None:
    async def run() -> None:
        client = Client()
        client.asked = {stream: "any" for stream in (1, 3, 5, 0x7FFFFFFF)}
        client.queue += b"".join(frames)
        faults: list[Any] = []
        client.connection._guarded = _strict(faults)  # type: ignore[method-assign]  # tells what it would log
        client.send(step)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not faults
        client.connection.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not client.served.tasks and client.served.held == 0

    asyncio.run(run())


def _strict(faults: list[Any]) -> Any:
    def guarded(work: Any, *args: object) -> None:
        try:
            work(*args)
        except Exception as e:
            faults.append(e)

    return guarded
