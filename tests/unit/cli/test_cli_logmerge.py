"""Several logs as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.cli import logview
from cricket.cli.logmerge import Merger
from cricket.cli.logview import LogView, wanted
from cricket.wire.logline import LogLine, format_line

Out = Callable[[], list[str]]


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Out:
    return lambda: capsys.readouterr().out.splitlines()


@pytest.fixture
def merger() -> Iterator[Merger]:
    merger = Merger(LogView(timestamps=False))
    yield merger
    merger.close()


def _write(path: Path, *lines: tuple[int, str], partial: bool = False, stream: str = "stdout") -> str:
    with path.open("ab") as file:
        for time, text in lines:
            file.write(format_line(LogLine(time, stream, partial, text.encode())))
    return str(path)


def test_what_is_there_is_merged_by_time(tmp_path: Path, merger: Merger, out: Out) -> None:
    merger.add("1", "web", _write(tmp_path / "web", (1, "a"), (4, "d")))
    merger.add("2", "cache", _write(tmp_path / "cache", (2, "b"), (3, "c"), (5, "e")))
    merger.past({"1": [LogLine(0, "stdout", False, b"older")]})
    assert out() == ["web   | older", "web   | a", "cache | b", "cache | c", "web   | d", "cache | e"]


def test_what_comes_is_merged_and_rotations_are_followed(tmp_path: Path, merger: Merger, out: Out) -> None:
    web, db = tmp_path / "web", tmp_path / "db"
    merger.add("1", "web", str(web))
    merger.add("2", "db", str(db))
    merger.look()
    _write(web, (3, "c"))
    _write(db, (2, "b"))
    merger.look()
    assert out() == ["db  | b", "web | c"]
    web.rename(tmp_path / "web.1")
    _write(tmp_path / "web.1", (4, "d"))
    _write(web, (6, "f"))
    _write(db, (5, "e"))
    merger.look()
    assert out() == ["web | d", "db  | e", "web | f"]


def test_lines_are_whole_and_the_end_shows_what_is_left(tmp_path: Path, merger: Merger, out: Out) -> None:
    path = tmp_path / "web"
    merger.add("1", "web", _write(path, (1, "a"), partial=True))
    merger.look()
    assert out() == []
    _write(path, (2, "x"), stream="stderr")
    _write(path, (3, "b"))
    merger.look()
    assert out() == ["web | x", "web | ab"]
    _write(path, (4, "half"), partial=True)
    with path.open("ab") as file:
        file.write(b"no record\ncut")
    merger.end("1")
    merger.end("1")
    assert out() == ["web | halfno record", "web | cut"]


def test_only_what_was_asked_for(tmp_path: Path, out: Out) -> None:
    merger = Merger(LogView(timestamps=True, prefixes=False), wanted(2, 3, "stderr"))
    path = tmp_path / "web"
    for time in (1, 2, 3, 4):
        _write(path, (time, f"out{time}"))
        _write(path, (time, f"err{time}"), stream="stderr")
    merger.add("1", "web", str(path))
    merger.past({})
    merger.close()
    assert out() == [f"1970-01-01T00:00:00.00000000{time}Z err{time}" for time in (2, 3)]


def test_each_name_has_a_colour_on_a_terminal(
    tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logview, "colourful", lambda: True)
    view = LogView(timestamps=False)
    for name in ("a", "b", "a"):
        view.write(name, LogLine(1, "stdout", False, b"x"))
    first, second, third = out()
    assert first == third == "\x1b[36ma | \x1b[0mx" and second == "\x1b[33mb | \x1b[0mx"
    view.say("hello")
    assert capsys.readouterr().err == "\x1b[90mcricket | \x1b[0m\x1b[90mhello\x1b[0m\n"


@given(
    st.lists(st.lists(st.integers(1, 50), max_size=12).map(sorted), min_size=1, max_size=4),
    st.integers(1, 4),
)
def test_the_order_is_that_of_time_and_of_each_log(times: list[list[int]], rounds: int) -> None:
    """Whether it was there or comes, in as many rounds as you like: nothing is lost, doubled or out of its log's order,
    and what is seen at once is in the order of time."""
    import tempfile

    seen: list[list[tuple[int, int, int]]] = []

    class View(LogView):
        def write(self, name: str, line: LogLine) -> None:
            log, place = map(int, line.text.split())
            seen[-1].append((line.timestamp, log, place))

    with tempfile.TemporaryDirectory() as directory:
        merger = Merger(View(timestamps=False))
        for part in range(rounds):
            seen.append([])
            for number, stamps in enumerate(times):
                path = Path(directory) / str(number)
                lines = [(stamp, f"{number} {place}") for place, stamp in enumerate(stamps)]
                _write(path, *lines[len(lines) * part // rounds : len(lines) * (part + 1) // rounds])
                merger.add(str(number), str(number), str(path))
            merger.look() if part else merger.past({})
            assert [entry[0] for entry in seen[-1]] == sorted(entry[0] for entry in seen[-1])
        seen.append([])
        merger.close()
        assert seen.pop() == []
    for number, stamps in enumerate(times):
        ours = [(stamp, place) for part in seen for stamp, log, place in part if log == number]
        assert ours == [(stamp, place) for place, stamp in enumerate(stamps)]


def test_names_do_not_talk_to_the_terminal(tmp_path: Path, merger: Merger, out: Out) -> None:
    merger.add("1", "w\x1b[2Jeb", _write(tmp_path / "web", (1, "a")))
    merger.past({})
    assert out() == ["w?[2Jeb | a"]
