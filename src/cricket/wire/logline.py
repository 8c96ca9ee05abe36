"""The log line of a container as CRI defines it: `<RFC3339Nano> <stdout|stderr> <P|F> <text>`.

P marks a part of a line (the rest follows in the next record of that stream), F the end of one. More tags may follow
the first, separated by colons; they carry no meaning yet and are ignored (kubelet `pkg/kubelet/kuberuntime/logs`).
"""

from __future__ import annotations

import calendar
import re
import time

import msgspec

from cricket.errors import InvalidArgument

_SECOND = 1_000_000_000
_TIME = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class LogLine(msgspec.Struct, frozen=True):
    """One record: time in Unix nanoseconds, stream "stdout" or "stderr", `partial` for tag P, text without newline."""

    timestamp: int
    stream: str
    partial: bool
    text: bytes


def format_time(timestamp: int) -> bytes:
    """Unix nanoseconds as RFC 3339 in UTC with nine decimals, so that lines sort and align."""
    seconds, nanos = divmod(timestamp, _SECOND)
    t = time.gmtime(seconds)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % (*t[:6], nanos)


def parse_time(text: bytes) -> int:
    """RFC 3339 with up to nine decimals and any offset, as Unix nanoseconds; InvalidArgument when it is not."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidArgument("the time stamp of a log line is not RFC 3339", where=_shown(text))
    fraction, sign = match.group(7), match.group(8)
    year, month, day, hour, minute, second = (int(match.group(i)) for i in range(1, 7))
    offset_hour, offset_minute = (int(match.group(i) or b"0") for i in (9, 10))
    fits = 1 <= month <= 12 and 1 <= day <= _month_length(year, month) and hour < 24 and minute < 60 and second <= 60
    if not fits or offset_hour > 23 or offset_minute > 59:
        raise InvalidArgument("the time stamp of a log line does not exist", where=_shown(text))
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    offset = (offset_hour * 60 + offset_minute) * 60
    seconds -= -offset if sign == b"-" else offset
    return seconds * _SECOND + (int(fraction.ljust(9, b"0")) if fraction else 0)


def _month_length(year: int, month: int) -> int:
    return 29 if month == 2 and calendar.isleap(year) else _DAYS[month - 1]


def format_line(line: LogLine) -> bytes:
    """The record with its final newline. The text must not contain one (InvalidArgument): it would forge a record."""
    if b"\n" in line.text:
        raise InvalidArgument("the text of a log line contains a newline", todo="Write one record for each line.")
    if line.stream not in ("stdout", "stderr"):
        raise InvalidArgument("a log line belongs to stdout or stderr", where=line.stream)
    tag = b"P" if line.partial else b"F"
    return b"%b %b %b %b\n" % (format_time(line.timestamp), line.stream.encode(), tag, line.text)


def parse_line(record: bytes) -> LogLine:
    """Parse one record, with or without its final newline; InvalidArgument when it is none."""
    parts = record.removesuffix(b"\n").split(b" ", 3)
    if len(parts) < 3:
        raise InvalidArgument("a log line has fewer than three fields", where=_shown(record))
    stamp, stream, tags = parts[:3]
    if stream not in (b"stdout", b"stderr"):
        raise InvalidArgument("a log line belongs to stdout or stderr", where=_shown(stream))
    tag = tags.split(b":", 1)[0]
    if tag not in (b"P", b"F"):
        raise InvalidArgument("the tag of a log line is neither P nor F", where=_shown(tags))
    return LogLine(parse_time(stamp), stream.decode(), tag == b"P", parts[3] if len(parts) == 4 else b"")


def _shown(text: bytes) -> str:
    return text[:80].decode("utf-8", "backslashreplace")
