"""Ages, sizes, times, and the options that are written so."""

from __future__ import annotations

import argparse
import time

import pytest

from cricket.cli import options, words

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172799, "47h"),
        (172800, "2d"),
        (1e9, "11574d"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert words.age(SECOND, now=SECOND + int(seconds * SECOND)) == text


def test_age_of_what_never_was_and_of_the_future() -> None:
    assert words.age(0) == "-"
    assert words.age(10 * SECOND, now=SECOND) == "0s"


@pytest.mark.parametrize(
    ("count", "size", "memory"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1.00kB", "1000B"),
        (1536, "1.54kB", "1.50KiB"),
        (2_488_000, "2.49MB", "2.37MiB"),
        (306_000, "306kB", "299KiB"),
        (52_400_000, "52.4MB", "50.0MiB"),
        (10**19, "10000PB", "8882PiB"),
    ],
)
def test_sizes(count: int, size: str, memory: str) -> None:
    assert (words.size(count), words.memory(count)) == (size, memory)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0005, "0.5ms"), (0.0314, "31ms"), (1.254, "1.25s"), (95, "95.0s"), (720, "12m")]
)
def test_took(seconds: float, text: str) -> None:
    assert words.took(seconds) == text


def test_short() -> None:
    assert words.short("sha256:" + "ab" * 32) == words.short("ab" * 32) == "abababababababababababab"[:13]


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("1.5s", 1.5), ("250ms", 0.25), ("2m", 120), ("1h", 3600), ("3d", 259200), ("0", 0), ("1m30s", 90)],
)
def test_seconds(text: str, value: float) -> None:
    assert options.seconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1048576", 1 << 20), ("64M", 64 << 20), ("64Mi", 64 << 20), ("1.5GiB", 3 << 29), ("2kB", 2048), ("-1", -1)],
)
def test_quantity(text: str, value: int) -> None:
    assert options.quantity(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1", "1 s", "1e5", "5x", "nan", "1m30", "m30s"])
def test_no_time_span(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.seconds(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05.000000006Z", 1767323045_000000006),
        ("2026-01-02T05:04:05+02:00", 1767323045_000000000),
        ("1767323045", 1767323045_000000000),
    ],
)
def test_instants(text: str, moment: int) -> None:
    assert options.instant(text) == moment


def test_an_instant_without_a_zone_is_local_and_a_span_is_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert options.instant("2026-01-02T05:04:05") == options.instant("2026-01-02 05:04:05") == 1767323045 * 10**9
    finally:
        monkeypatch.undo()
        time.tzset()
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    assert options.instant("1m30s") == options.instant("90") == 10**18 - 90 * 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "10 m", "9" * 30 + "d ago"])
def test_no_instant(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.instant(text)


@pytest.mark.parametrize("text", ["", "M", "-5", "5X", "inf", "1e9"])
def test_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.quantity(text)


@pytest.mark.parametrize("text", ["", "a", "=b"])
def test_no_pair(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        options.pair(text)
