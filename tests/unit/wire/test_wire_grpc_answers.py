"""gRPC as its caller sees it: headers, messages, statuses."""

from __future__ import annotations

import itertools

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import Code
from cricket.wire import grpc_messages as grpc
from cricket.wire.grpc_answers import KNOWN_BLOCKS, Answers, Outcome, request_headers
from cricket.wire.http2_frames import Reason

OK_200 = {b":status": b"200", b"content-type": b"application/grpc+proto"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30, b"30000m"),
        (0.0001, b"1m"),
        (1.0001, b"1001m"),
        (0, b"0m"),
        (-1, b"0m"),
        (2e5, b"200000S"),
        (1e12, b"99999999S"),
    ],
)
def test_time_limits(seconds: float, text: bytes) -> None:
    fields = dict(request_headers(b"/s/M", seconds))
    assert fields[b"grpc-timeout"] == text
    limit = grpc.call_of(fields).timeout
    assert limit is not None and (limit >= seconds or seconds > 1e8)
    assert b"grpc-timeout" not in dict(request_headers(b"/s/M", None))


def test_pseudo_headers_come_first() -> None:
    names = [name for name, _ in request_headers(b"/s/M", 1)]
    assert sorted(names, key=lambda name: name[:1] != b":") == names and len(set(names)) == len(names)


def test_known_blocks_mean_what_hpack_says() -> None:
    for block, headers in KNOWN_BLOCKS.items():
        decoder = hpack.Decoder()
        assert {bytes(n): bytes(v) for n, v in decoder.decode(block, raw=True)} == headers
        assert not decoder.header_table.dynamic_entries


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 300), max_size=10))
def test_messages_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(grpc.framed, messages))
    answers = Answers(40)
    answers.headers(OK_200, False)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        answers.data(data[start:end], False)
    assert list(answers.messages) == messages and answers.outcome is None
    answers.headers({b"grpc-status": b"0"}, True)
    assert answers.outcome == Outcome(Code.OK, "")


@given(st.text(max_size=100), st.sampled_from(Code))
def test_statuses_as_our_server_writes_them(text: str, code: Code) -> None:
    fields = {bytes(n): bytes(v) for n, v in hpack.Decoder().decode(grpc.trailers(code, text), raw=True)}
    answers = Answers(1)
    answers.headers(OK_200 | fields, True)
    assert answers.outcome == Outcome(code, text)


@pytest.mark.parametrize(
    ("words", "text"),
    [(b"100%", "100%"), (b"%", "%"), (b"a%2", "a%2"), (b"%zz%c3%BC", "%zzü"), (b"%ff", "�"), (b"\xc3\xbc", "ü")],
)
def test_words_that_are_badly_encoded(words: bytes, text: str) -> None:
    assert grpc.unquoted(words) == text


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({b":status": b"404", b"content-type": b"text/plain"}, Code.UNIMPLEMENTED),
        ({b":status": b"503"}, Code.UNAVAILABLE),
        ({b":status": b"418"}, Code.UNKNOWN),
        ({b":status": b"200", b"content-type": b"text/html"}, Code.UNKNOWN),
        ({**OK_200, b"grpc-status": b"77"}, Code.UNKNOWN),
        ({**OK_200, b"grpc-status": b"x"}, Code.UNKNOWN),
        ({**OK_200}, Code.UNKNOWN),
        ({b":status": b"503", b"grpc-status": b"5"}, Code.NOT_FOUND),
    ],
)
def test_answers_that_end_at_once(fields: dict[bytes, bytes], code: Code) -> None:
    answers = Answers(1)
    answers.headers(fields, True)
    assert answers.outcome is not None and answers.outcome.code is code


@pytest.mark.parametrize(
    ("body", "end", "code"),
    [
        (b"\1\0\0\0\0", False, Code.INTERNAL),
        (b"\0\0\0\0\x0b", False, Code.RESOURCE_EXHAUSTED),
        (grpc.framed(b"whole"), True, Code.INTERNAL),
    ],
)
def test_bodies_that_cannot_be_taken(body: bytes, end: bool, code: Code) -> None:
    answers = Answers(10)
    answers.headers(OK_200, False)
    answers.data(body, end)
    assert answers.outcome is not None and answers.outcome.code is code


def test_what_comes_before_and_in_the_middle() -> None:
    answers = Answers(10)
    answers.headers({b":status": b"103"}, False)
    answers.headers(OK_200, False)
    answers.data(b"\0\0\0\0\5cut", False)
    answers.headers({b"grpc-status": b"0"}, True)
    assert answers.outcome is not None and answers.outcome.code is Code.INTERNAL


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.REFUSED_STREAM, Code.UNAVAILABLE),
        (Reason.CANCEL, Code.CANCELLED),
        (Reason.ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED),
        (Reason.NO_ERROR, Code.INTERNAL),
        (99, Code.INTERNAL),
    ],
)
def test_streams_that_were_given_up(reason: int, code: Code) -> None:
    answers = Answers(1)
    answers.refused(reason)
    assert answers.outcome is not None and answers.outcome.code is code
