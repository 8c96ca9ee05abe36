from __future__ import annotations

import pytest

from cricket.errors import InvalidArgument
from cricket.wire.logline import LogLine, format_line, format_time, parse_line, parse_time

NOON = 1_475_712_000_000_000_000  # 2016-10-06T00:00:00Z


def test_a_line_as_the_kubelet_documents_it() -> None:
    line = parse_line(b"2016-10-06T00:17:09.669794202Z stdout P log content 1\n")
    assert line == LogLine(NOON + 1029_669_794_202, "stdout", True, b"log content 1")
    assert format_line(line) == b"2016-10-06T00:17:09.669794202Z stdout P log content 1\n"


def test_text_may_be_empty_or_missing() -> None:
    assert parse_line(b"2016-10-06T00:00:00Z stderr F \n") == LogLine(NOON, "stderr", False, b"")
    assert parse_line(b"2016-10-06T00:00:00Z stderr F") == LogLine(NOON, "stderr", False, b"")


def test_further_tags_are_ignored() -> None:
    assert parse_line(b"2016-10-06T00:00:00Z stdout F:x:y text").text == b"text"


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"2016-10-06T02:00:00+02:00", 0),
        (b"2016-10-05T18:30:00-05:30", 0),
        (b"2016-10-06T00:00:00.5Z", 500_000_000),
        (b"2016-10-06t00:00:00.000000001z", 1),
    ],
)
def test_times(text: bytes, offset: int) -> None:
    assert parse_time(text) == NOON + offset


def test_times_before_1970() -> None:
    assert parse_time(format_time(-1)) == -1


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\n",
        b"2016-10-06T00:00:00Z",
        b"2016-10-06T00:00:00Z stdout",
        b"2016-10-06T00:00:00Z stdin F x",
        b"2016-10-06T00:00:00Z stdout X x",
        b"2016-10-06 stdout F x",
        b"2016-13-06T00:00:00Z stdout F x",
        b"2017-02-29T00:00:00Z stdout F x",
        b"2016-10-06T24:00:00Z stdout F x",
        b"2016-10-06T00:00:00+24:00 stdout F x",
        b"2016-10-06T00:00:00 stdout F x",
        b"2016-10-06T00:00:00.1234567890Z stdout F x",
        b"\xff\xfe stdout F x",
    ],
)
def test_broken_records_are_refused(record: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_line(record)


def test_a_newline_cannot_forge_a_record() -> None:
    with pytest.raises(InvalidArgument):
        format_line(LogLine(0, "stdout", False, b"a\nb"))
    with pytest.raises(InvalidArgument):
        format_line(LogLine(0, "other", False, b"a"))
