"""The picture of `cricket top`: it fits every terminal, and says what it has to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from top_samples import SECOND, frame

from cricket.cli.top import columns as table
from cricket.cli.top.glyphs import ASCII, UNICODE, bar, of_encoding, sparkline
from cricket.cli.top.logs import last_lines
from cricket.cli.top.model import Container, Frame, History, LogText
from cricket.cli.top.plain import document, text
from cricket.cli.top.screenful import Scene, screenful
from cricket.cli.top.text import Span, clean, clip, cut, fit, line_width, painted, plain, width
from cricket.cli.top.view import View

LOGS = (LogText(99 * SECOND, "server", "stdout", "hello"), LogText(100 * SECOND, "server", "stderr", "bad \x1b[2Jnews"))


def scene(frame: Frame, **fields: Any) -> Scene:
    return Scene(frame=frame, interval=1.0, clock=100 * SECOND, **{"view": View(), **fields})


def shown(columns: int = 80, height: int = 24, **fields: Any) -> list[str]:
    return [plain(line) for line in screenful(scene(frame(), **fields), columns, height, UNICODE).lines]


@pytest.mark.parametrize("columns", [1, 7, 20, 39, 60, 79, 80, 99, 110, 132, 200, 300])
@pytest.mark.parametrize("height", [1, 2, 5, 9, 13, 14, 20, 24, 50])
def test_every_picture_fits_its_terminal(columns: int, height: int) -> None:
    many = frame(cpus=(50.0,) * 64)
    for view in (View(), View(details=True, chosen="c1"), View(help=True), View(typing=True, filter="x" * 400)):
        for made, glyphs in ((frame(), UNICODE), (many, ASCII), (Frame(time=1), UNICODE)):
            for trouble in ("", "nobody answers " * 20):
                picture = screenful(scene(made, view=view, logs=LOGS, trouble=trouble), columns, height, glyphs)
                assert len(picture.lines) <= height
                assert all(line_width(line) <= columns for line in picture.lines)
                assert -1 <= picture.chosen < height and picture.page >= 1


def test_80_by_24_shows_the_node_the_tree_and_the_keys() -> None:
    lines = shown()
    assert lines[0].startswith("cricket top  node-1 · cricket 0.1.0 · up 25h") and "every 1s" in lines[0]
    assert "54%" in lines[1] and "2 CPUs" in lines[1]
    assert "3.00GiB of 8.00GiB" in lines[3]
    assert "2 ready, 1 not ready  Containers 1 running, 1 created, 1 failed" in lines[4]
    assert "Restarts 4" in shown(110)[4] and "Network ↓ 1.23kB/s ↑ 9B/s" in shown(130)[4]
    assert lines[6].split() == [
        "POD",
        "/",
        "CONTAINER",
        "STATE",
        "↓CPU%",
        "MEMORY",
        "USED",
        "RST",
        "AGE",
        "MINUTE",
    ]
    assert lines[7].startswith("▾ default/web") and "81.0" in lines[7]
    short = [plain(x) for x in screenful(scene(frame(*frame().pods[:1])), 80, 24, UNICODE).lines]
    assert short[6].split()[7:9] == ["RX/s", "TX/s"] and "1.23kB     9B" in short[7]
    assert lines[8].startswith("  └ server") and "31.0MiB  97%" in lines[8]
    assert "Exit 3" in lines[10]
    assert lines[23].startswith("q quit")


def test_a_long_name_gives_way_to_the_pods_own() -> None:
    line = next(line for line in shown(110) if "a-name-that" in line)
    assert line.startswith("▾ …/a-name-that-is-quite-long")
    assert next(line for line in shown(200) if "a-name" in line).startswith(
        "▾ a-ve…/a-name-that-is-quite-long-too-5d5f7f9c9b-x2x4z "
    )
    assert any(line.startswith("▾ …/a-name-that-is") for line in shown(80))


def test_the_chosen_line_is_always_seen() -> None:
    for key in ("p1", "c1", "p2", "c2", "c3", "p3"):
        picture = screenful(scene(frame(), view=View(chosen=key)), 80, 10, UNICODE)
        names = {"p1": "web", "c1": "server", "p2": "a-", "c2": "job", "c3": "名前", "p3": "gone"}
        assert names[key] in plain(picture.lines[picture.chosen])


def test_details_tell_events_and_log() -> None:
    for columns in (80, 140):
        lines = shown(columns, view=View(details=True, chosen="c1"), logs=LOGS)
        said = "\n".join(lines)
        assert "── default/web/server c1 ──" in said and "image busybox:1" in said
        assert "60s ago  started" in said
        assert "hello" in said and "bad news" in said and "\x1b" not in said
    pod = "\n".join(shown(view=View(details=True, chosen="p1"), logs=LOGS))
    assert "server hello" in pod and "pod created" in pod


def test_a_runtime_that_is_gone_is_told_and_what_was_known_stays() -> None:
    lines = shown(trouble="the daemon cannot be reached", silent=12.4)
    assert lines[0].startswith("runtime gone  the daemon cannot be reached; trying again") and lines[0].endswith("12s")
    assert any("server" in line for line in lines)


def test_a_filter_that_nothing_fits_says_so() -> None:
    assert "nothing fits 'zz'" in shown(view=View(filter="zz"))
    assert "no pods" in [plain(x) for x in screenful(scene(Frame(time=1)), 80, 24, UNICODE).lines]


def test_columns_leave_in_order_and_the_table_fills_no_more_than_the_screen() -> None:
    before = set[str]()
    for columns in range(18, 200):
        widths, gap = table.layout(columns, 30)
        assert sum(widths.values()) + gap * (len(widths) - 1) <= columns
        if columns not in (90, 110):  # there some columns begin to be wider
            assert before <= set(widths), columns
        before = set(widths)
    assert before == {*widths} and "limit" in widths


def test_a_limit_that_is_near_is_red_and_without_colours_nothing_is() -> None:
    lines = screenful(scene(frame()), 80, 24, UNICODE).lines
    assert "\x1b[31m 97%\x1b[0m" in painted(lines[8], colours=True)
    assert "\x1b[3" not in "".join(painted(line, colours=False) for line in lines)
    assert painted([Span("x", "bad")], colours=True, chosen=True) == "\x1b[7mx\x1b[0m"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert of_encoding("utf-8") is UNICODE and of_encoding("ascii") is ASCII and of_encoding(None) is ASCII
    made = frame(*frame().pods[:1])
    lines = screenful(scene(made, view=View(details=True)), 120, 30, ASCII).lines
    assert "".join(map(plain, lines)).isascii()


def test_bars_are_as_long_as_their_share() -> None:
    def drawn(share: float) -> str:
        return plain(bar(share, 4, UNICODE))

    assert [drawn(s) for s in (0.0, 0.01, 0.5, 0.6, 1.0, 7.0)] == ["────", "╸───", "━━──", "━━╸─", "━━━━", "━━━━"]


def test_sparklines_end_at_the_right_and_their_groups_stay() -> None:
    assert sparkline(History((0.0, 50.0, 100.0), 3), 5, 100.0, UNICODE) == "  ▁▄█"
    first = History(tuple([0.0] * 7 + [9.0]), 8)
    assert sparkline(first, 4, 9.0, UNICODE) == "▁▁▁█"
    assert sparkline(first.grown(0.0, 8), 4, 9.0, UNICODE)[-2:] == "█▁", "the peak moves as a whole"
    assert sparkline(History(), 3, 0.0, UNICODE) == "   "


def test_texts_are_cut_by_columns_and_not_by_characters() -> None:
    assert (
        width("名前") == 4 and clip("名前x", 3) == "名" and fit("名", 3) == "名 " and fit("7", 3, right=True) == "  7"
    )
    assert clip("abcdef", 4, "…") == "abc…" and width("e\u0301") == 1
    assert plain(cut([Span("ab"), Span("cd")], 3)) == "abc"


def test_text_of_others_does_not_talk_to_the_terminal() -> None:
    assert clean("a\x1b[31mb\x1b[0m\x1b]0;title\x07c\td\x00") == "abc d?"


def test_logs_are_read_from_their_end(tmp_path: Path) -> None:
    def record(second: int, stream: str, text: str, tag: str = "F") -> bytes:
        return f"2026-01-01T00:00:{second:02}.000000000Z {stream} {tag} {text}\n".encode()

    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_bytes(b"garbage " * 9000 + b"\n" + record(1, "stdout", "first", "P") + record(1, "stdout", " line"))
    two.write_bytes(record(0, "stdout", "zero") + record(2, "stderr", "second") + b"2026-01-01T00:00:03")
    made = [Container(id=p, name=p, state="Running", log_path=str(tmp_path / f"{p}.log")) for p in ("one", "two", "no")]
    lines = [(line.container, line.stream, line.text) for line in last_lines(made, 2)]
    assert lines == [("one", "stdout", "first line"), ("two", "stderr", "second")]


def test_plain_frames_and_documents_have_the_same_pods() -> None:
    said = text(frame(), View(), 80, UNICODE, 1.0).splitlines()
    assert [line.split()[1] for line in said if line.startswith("▾")] and all(line == line.rstrip() for line in said)
    made = json.loads(json.dumps(document(frame(), View(filter="default"))))
    assert [pod["name"] for pod in made["pods"]] == ["web", "gone"]
    web = made["pods"][0]
    assert web["cpuLimitPercent"] == 100.0 and web["memoryLimitBytes"] is None and web["processes"] == 4
    assert [c["name"] for c in web["containers"]] == ["server"] and made["node"]["cpuPercent"] == 53.5


def test_names_of_others_do_not_talk_to_the_terminal() -> None:
    bad = "w\x1b[31me\x07b"
    pods = [
        msgspec.structs.replace(
            pod,
            name=bad,
            namespace=bad,
            containers=tuple(msgspec.structs.replace(c, name=bad) for c in pod.containers),
        )
        for pod in frame().pods
    ]
    made = msgspec.structs.replace(frame(), pods=tuple(pods))
    for view in (View(), View(details=True, chosen="c1"), View(details=True, chosen=pods[0].id)):
        for line in screenful(scene(made, view=view), 100, 30, UNICODE).lines:
            assert plain(line).isprintable()
