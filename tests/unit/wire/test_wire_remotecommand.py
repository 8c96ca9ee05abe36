from __future__ import annotations

import json

import pytest

from cricket.errors import Internal
from cricket.wire.remotecommand import (
    SPDY_DIALECTS,
    SizeDecoder,
    decode_status,
    encode_exit,
    encode_failure,
    encode_size,
)

V4, V3 = SPDY_DIALECTS["v4.channel.k8s.io"], SPDY_DIALECTS["v3.channel.k8s.io"]


def test_the_status_that_clients_look_for() -> None:
    status = json.loads(encode_exit(7, V4))
    assert status["status"] == "Failure"
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    assert json.loads(encode_exit(0, V4)) == {"status": "Success"}
    assert encode_exit(0, V3) == b""
    assert b"7" in encode_exit(7, V3)


@pytest.mark.parametrize("code", [0, 1, 137, 255])
def test_exit_codes_round_trip(code: int) -> None:
    assert decode_status(encode_exit(code, V4), V4) == code


def test_a_status_of_the_go_servers() -> None:
    text = b'{"metadata":{"creationTimestamp":null},"status":"Failure","message":"m","reason":"NonZeroExitCode",'
    assert decode_status(text + b'"details":{"causes":[{"reason":"ExitCode","message":"3"}]}}', V4) == 3


def test_failures_carry_their_words() -> None:
    for dialect in (V4, V3):
        with pytest.raises(Internal, match="no such file"):
            decode_status(encode_failure("no such file", dialect), dialect)
    for data in (b"{", b"[]", b'{"status":"Failure"}', b'{"status":3}', b"\xff"):
        with pytest.raises(Internal):
            decode_status(data, V4)


def test_sizes_cut_anywhere() -> None:
    data = encode_size(80, 24) + encode_size(1, 2)
    for cut in range(len(data)):
        decoder = SizeDecoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == [(80, 24), (1, 2)]


@pytest.mark.parametrize("bad", [b"[}", b'{"Width":-1}', b'{"Width":70000}', b'{"Width":"x"}', b"\xff}", b"x" * 2000])
def test_a_size_that_makes_no_sense_ends_it(bad: bytes) -> None:
    decoder = SizeDecoder()
    assert decoder.feed(encode_size(1, 1) + bad) == [(1, 1)]
    assert decoder.feed(encode_size(2, 2)) == []
