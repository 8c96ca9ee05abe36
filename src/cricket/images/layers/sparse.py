"""Maps of sparse files in tar archives: GNU's own header, and PAX formats 0.1 and 1.0 (0.0 is joined into 0.1)."""

from __future__ import annotations

from collections.abc import Callable

Segments = list[tuple[int, int]]
_MAX_SEGMENTS = 1 << 20


def gnu_map(header: bytes, next_block: Callable[[], bytes], number: Callable[[bytes], int]) -> Segments:
    """The map of an old GNU header (type S): four segments in it, 21 more in each block that follows."""
    segments: Segments = []
    block, start, slots, flag = header, 386, 4, 482
    while True:
        for i in range(slots):
            field = block[start + 24 * i : start + 24 * i + 24]
            if not field[0]:
                break
            segments.append((number(field[:12]), number(field[12:])))
        if not block[flag] or len(segments) > _MAX_SEGMENTS:
            return segments
        block, start, slots, flag = next_block(), 0, 21, 504


def map_0_1(text: bytes) -> Segments:
    """`offset,length,offset,length...`; ValueError."""
    numbers = [_count(n) for n in text.split(b",")] if text else []
    if len(numbers) % 2:
        raise ValueError("odd number of values")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def map_1_0(next_block: Callable[[], bytes]) -> tuple[Segments, int]:
    """Decimal lines at the start of the data, padded to whole blocks; also how many blocks. ValueError."""
    lines: list[bytes] = []
    rest, blocks, wanted = b"", 0, 1
    while len(lines) < wanted:
        rest += next_block()
        blocks += 1
        *new, rest = rest.split(b"\n")
        if not lines and new:
            count = _count(new[0])
            if count > _MAX_SEGMENTS:
                raise ValueError("too many segments")
            wanted = 1 + 2 * count
        lines += new
        if len(lines) < wanted and len(rest) > 32:
            raise ValueError("a number without an end")
    numbers = [_count(n) for n in lines[1:wanted]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), blocks


def _count(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError("not a decimal number")
    return int(text)
