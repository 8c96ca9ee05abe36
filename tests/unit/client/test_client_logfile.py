"""Reading logs: the tail, growth, rotation."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.client import logfile
from cricket.errors import FailedPrecondition, NotFound

_STAMP = b"2026-01-02T03:04:05.000000006Z"


def _line(text: str, tag: str = "F", stream: str = "stdout") -> bytes:
    return b"%b %b %b %b\n" % (_STAMP, stream.encode(), tag.encode(), text.encode())


def _texts(path: Path, *, tail: int | None = None, follow: Callable[[], bool] | None = None) -> list[str]:
    return [line.text.decode() for line in logfile.read(str(path), tail=tail, follow=follow)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "_PAUSE", 0)


def test_a_log_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line("a") + _line("b", stream="stderr") + b"garbage\n" + _line("cut")[:-1])
    lines = list(logfile.read(str(path)))
    assert [(line.stream, line.text) for line in lines] == [
        ("stdout", b"a"),
        ("stderr", b"b"),
        ("stdout", b"garbage"),
        ("stdout", b"cut"),
    ]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        _texts(tmp_path / "no")
    with pytest.raises(FailedPrecondition):
        _texts(tmp_path)


def test_the_tail_counts_lines_not_parts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line("1") + _line("2a", "P") + _line("2b", "P") + _line("2c") + _line("3"))
    assert _texts(path, tail=2) == ["2a", "2b", "2c", "3"]
    assert _texts(path, tail=0) == []
    assert _texts(path, tail=9) == ["1", "2a", "2b", "2c", "3"]


@given(
    parts=st.lists(st.tuples(st.sampled_from("PF"), st.integers(0, 40)), max_size=30),
    tail=st.integers(0, 12),
    block=st.integers(1, 90),
    whole=st.booleans(),
)
def test_the_tail_is_right_wherever_blocks_end(
    parts: list[tuple[str, int]], tail: int, block: int, whole: bool
) -> None:
    records = [_line("x" * length, tag) for tag, length in parts]
    data = b"".join(records)
    if not whole and data:
        data = data[:-1]
    lines: list[list[bytes]] = [[]]
    for record, (tag, _) in zip(records, parts, strict=True):
        lines[-1].append(record)
        if tag == "F":
            lines.append([])
    texts = [b"".join(line) for line in lines if line]
    wanted = b"".join(texts[-tail:]) if tail else b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "_BLOCK", block)
        offset, missing = logfile.tail_offset(io.BytesIO(data), tail)
    assert missing == max(0, tail - len(texts))
    assert len(data) - offset == max(0, len(wanted) - (0 if whole or not wanted else 1))


class Steps:
    """What happens while somebody follows: one step whenever the reader has caught up, then the container has ended."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)

    def __call__(self) -> bool:
        if not self._steps:
            return False
        self._steps.pop(0)()
        return True


def test_following_growth(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line("old") + _line("a"))

    def append(data: bytes) -> Callable[[], object]:
        def write() -> None:
            with path.open("ab") as file:
                file.write(data)

        return write

    half = _line("b")
    steps = Steps(append(half[:20]), append(half[20:]), append(_line("c")))
    assert _texts(path, tail=1, follow=steps) == ["a", "b", "c"]


def test_following_over_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line("a"))

    def rename() -> None:
        path.rename(tmp_path / "log.1")

    def late() -> None:
        """Until it is told to reopen, the monitor writes to the renamed file."""
        with (tmp_path / "log.1").open("ab") as file:
            file.write(_line("b"))

    def reopen() -> None:
        late()
        path.write_bytes(_line("c"))

    assert _texts(path, follow=Steps(rename, late, reopen)) == ["a", "b", "b", "c"]


def test_following_a_log_that_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line("a") + _line("b"))
    assert _texts(path, follow=Steps(lambda: path.write_bytes(b""), lambda: path.write_bytes(_line("c")))) == [
        "a",
        "b",
        "c",
    ]


def test_the_end_of_a_container_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")

    def ended() -> bool:
        path.write_bytes(_line("last words"))
        return False

    assert _texts(path, follow=ended) == ["last words"]


def _rotated(path: Path, *files: bytes) -> None:
    """Files as the kubelet leaves them: all but the last of the old ones are compressed; the last is the log."""
    *old, last, now = files
    for number, data in enumerate(old):
        path.with_name(f"{path.name}.20260102-03040{number}.gz").write_bytes(gzip.compress(data))
    path.with_name(f"{path.name}.20260102-030409").write_bytes(last)
    path.write_bytes(now)


@pytest.mark.parametrize("tail", [None, *range(8)])
def test_rotated_files_come_first(tmp_path: Path, tail: int | None) -> None:
    path = tmp_path / "log"
    _rotated(path, _line("1") + _line("2"), b"", _line("3a", "P") + _line("3b") + _line("4"), _line("5"))
    path.with_name("log.20260102-030405.tmp").write_bytes(_line("half compressed"))
    path.with_name("log.bak").write_bytes(_line("somebody's"))
    records = logfile.read(str(path), tail=tail, rotated=True)
    texts = [line.text.decode() for line in logfile.Joiner().lines(records)]
    assert texts == ["1", "2", "3a3b", "4", "5"][0 if tail is None else max(0, 5 - tail) :]


def test_a_line_that_a_rotation_has_cut_is_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _rotated(path, _line("a", "P"), _line("b"))
    records = logfile.read(str(path), rotated=True)
    assert [line.text for line in logfile.Joiner().lines(records)] == [b"ab"]


def test_a_broken_rotated_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _rotated(path, _line("0"), _line("1"), _line("2"))
    path.with_name("log.20260102-030400.gz").write_bytes(b"no gzip")
    for tail in (None, 9):
        assert [line.text for line in logfile.read(str(path), tail=tail, rotated=True)] == [b"1", b"2"]


def test_a_tail_waits_for_its_file_and_outlives_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = logfile.Tail(str(path))
    assert list(tail.records()) == []
    path.write_bytes(_line("a") + _line("b")[:-5])
    assert [line.text for line in tail.records()] == [b"a"]
    with path.open("ab") as file:
        path.unlink()
        file.write(_line("b")[-5:] + _line("c")[:-1])
    assert [line.text for line in tail.records()] == [b"b"]
    assert [line.text for line in tail.rest()] == [b"c"]
    tail.close()
    tail.close()


def test_parts_are_joined_stream_by_stream() -> None:
    joiner = logfile.Joiner()
    records = [logfile.record(line[:-1]) for line in (_line("a", "P"), _line("x", "P", "stderr"), _line("b"))]
    assert [(line.stream, line.text, line.partial) for line in joiner.lines(records)] == [("stdout", b"ab", False)]
    assert [line.text for line in joiner.rest()] == [b"x"] and joiner.rest() == []
