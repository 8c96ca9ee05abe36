"""The screen and the SVG that pictures are made with."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from scripts.pictures.record import Step, record
from scripts.pictures.screen import Screen, Style
from scripts.pictures.svg import svg


def test_text_colours_and_places() -> None:
    screen = Screen(10, 3)
    screen.feed("ab\x1b[31mc\x1b[0m\r\nx\x1b[1;97my\x1b[7mz\x1b[2;1H!\x1b[3;4Hend")
    assert screen.text() == "abc\n!yz\n   end"
    assert screen.cells[0][2].style == Style(colour=1)
    assert screen.cells[1][1].style == Style(colour=15, bold=True)
    assert screen.cells[1][2].style == Style(colour=15, bold=True, reverse=True)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_sequence_may_be_cut_anywhere(size: int) -> None:
    written = "one\x1b]0;title\x07\x1b[2A\r\x1b[Ktwo\x1b[?25l\x1b[1;32m!\x1b(B\x1b[m\x1b[3D\x1b[1K"
    whole, cut = Screen(8, 2), Screen(8, 2)
    whole.feed(written)
    for at in range(0, len(written), size):
        cut.feed(written[at : at + size])
    assert cut.cells == whole.cells and whole.text() == "  o!\n"


def test_lines_wrap_scroll_and_are_kept() -> None:
    screen = Screen(3, 2)
    screen.feed("abcdef\r\nghi\r\njk")
    assert screen.text() == "ghi\njk"
    assert ["".join(cell.text for cell in line) for line in screen.gone] == ["abc", "def"]
    screen.feed("\x1b[H\x1b[2J\x1b[?7lwide line\x1b[?7h")
    assert screen.text() == "wie\n"


def test_the_other_screen_comes_and_goes() -> None:
    screen = Screen(5, 2)
    screen.feed("shell\x1b[?1049h\x1b[Hother")
    assert screen.text() == "other\n"
    screen.feed("\x1b[?1049l")
    assert screen.text() == "shell\n"


def test_the_picture_keeps_columns() -> None:
    screen = Screen(20, 3)
    screen.feed("a  <b> c\r\n\x1b[7mchosen\x1b[0m")
    root = ElementTree.fromstring(svg(screen.cells, "a & b", 20))
    texts = {text.text: text.attrib for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"a & b", "a", "<b> c", "chosen"} == set(texts)
    assert float(texts["<b> c"]["x"]) - float(texts["a"]["x"]) == pytest.approx(3 * 8.4)
    assert float(texts["<b> c"]["textLength"]) == pytest.approx(5 * 8.4)
    assert texts["chosen"]["class"] == "r" and int(root.attrib["height"]) == 34 + 2 * 18 + 16


def test_a_command_is_recorded_to_its_end_or_to_a_moment() -> None:
    script = 'read x; printf "\\033[32mgot $x\\033[0m $(stty size)\\n"'
    screen = record(["sh", "-c", script], columns=30, rows=5, steps=[Step("", b"it\n")])
    assert "got it 5 30" in screen.text()
    screen = record(["sh", "-c", "echo here; exec sleep 1000"], columns=30, rows=5, steps=[Step("here")], stop=True)
    assert screen.text().startswith("here")
    with pytest.raises(TimeoutError, match="has ended without 'never'"):
        record(["true"], columns=10, rows=2, steps=[Step("never")])
