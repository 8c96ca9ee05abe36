"""A terminal's screen: takes what programs write, and has cells with colours. As much of ECMA-48 as is used here."""

from __future__ import annotations

import re
from typing import NamedTuple


class Style(NamedTuple):
    """How a cell looks; colours are 0 to 15, or -1 for the default."""

    colour: int = -1
    background: int = -1
    bold: bool = False
    reverse: bool = False


class Cell(NamedTuple):
    """One character."""

    text: str = " "
    style: Style = Style()


_TOKEN = re.compile(
    r"\x1b\[(?P<csi>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\].*?(?:\x07|\x1b\\)|\x1b[()][0-9A-Za-z]|\x1b[^\x1b\[\]()]"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])|(?P<text>[^\x00-\x1f\x7f]+)",
    re.DOTALL,
)


class Screen:
    """`feed` it text; `cells` are its lines. Lines that leave at the top are kept in `gone`."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [self._blank() for _ in range(rows)]
        self.gone = list[list[Cell]]()
        self.row = self.column = 0
        self.style = Style()
        self.wraps = True
        self._other: tuple[list[list[Cell]], int, int] | None = None
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what was written; a sequence may be cut anywhere."""
        text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:  # the beginning of a sequence
                self._rest = text[at:]
                return
            at = match.end()
            if match["text"]:
                for character in match["text"]:
                    self._put(character)
            elif match["control"]:
                self._control(match["control"])
            elif match["final"]:
                self._sequence(match["csi"], match["final"])

    def text(self) -> str:
        """What is on the screen, as text."""
        return "\n".join("".join(cell.text for cell in line).rstrip() for line in self.cells)

    def _blank(self) -> list[Cell]:
        return [Cell()] * self.columns

    def _put(self, character: str) -> None:
        if self.column >= self.columns:
            if self.wraps:
                self.column = 0
                self._down()
            else:
                self.column = self.columns - 1
        self.cells[self.row][self.column] = Cell(character, self.style)
        self.column += 1

    def _down(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
        else:
            self.gone.append(self.cells.pop(0))
            self.cells.append(self._blank())

    def _control(self, character: str) -> None:
        if character == "\n":
            self._down()
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)

    def _sequence(self, parameters: str, final: str) -> None:
        if parameters.startswith("?"):
            self._mode(parameters[1:], final == "h")
            return
        numbers = [int(word) if word.isdecimal() else 0 for word in parameters.split(";")]
        first = numbers[0] or 1
        if final == "m":
            self._look(numbers)
        elif final in "Hf":
            self.row = min(self.rows, first) - 1
            self.column = min(self.columns, (numbers + [0])[1] or 1) - 1
        elif final == "A":
            self.row = max(0, self.row - first)
        elif final == "B":
            self.row = min(self.rows - 1, self.row + first)
        elif final == "C":
            self.column = min(self.columns - 1, self.column + first)
        elif final == "D":
            self.column = max(0, self.column - first)
        elif final == "G":
            self.column = min(self.columns, first) - 1
        elif final in "JK":
            self._erase(final, numbers[0])

    def _erase(self, what: str, how: int) -> None:
        line, at = self.cells[self.row], min(self.column, self.columns - 1)
        begin, end = (at, self.columns) if how == 0 else (0, at + 1) if how == 1 else (0, self.columns)
        line[begin:end] = [Cell()] * (end - begin)
        if what == "J":
            for number in range(self.rows):
                if how >= 2 or (how == 0 and number > self.row) or (how == 1 and number < self.row):
                    self.cells[number] = self._blank()

    def _mode(self, number: str, on: bool) -> None:
        if number == "7":
            self.wraps = on
        elif number == "1049" and on:
            self._other = (self.cells, self.row, self.column)
            self.cells = [self._blank() for _ in range(self.rows)]
        elif number == "1049" and self._other is not None:
            (self.cells, self.row, self.column), self._other = self._other, None

    def _look(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == 0:
                self.style = Style()
            elif number in (1, 22):
                self.style = self.style._replace(bold=number == 1)
            elif number in (7, 27):
                self.style = self.style._replace(reverse=number == 7)
            elif 30 <= number <= 37 or number == 39:
                self.style = self.style._replace(colour=-1 if number == 39 else number - 30)
            elif 90 <= number <= 97:
                self.style = self.style._replace(colour=number - 82)
            elif 40 <= number <= 47 or number == 49:
                self.style = self.style._replace(background=-1 if number == 49 else number - 40)
