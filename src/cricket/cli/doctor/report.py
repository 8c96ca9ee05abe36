"""The doctor's findings for people: by group, what is well in one line, the rest with advice."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from cricket.cli.doctor.finding import Finding, Severity
from cricket.cli.output import colourful

_WIDEST = 110
_TITLES = {"cgroups": "Control groups", "neighbours": "Other runtimes", "limits": "Limits of the system"}
_MARKS = {Severity.OK: "✓", Severity.INFO: "i", Severity.WARNING: "!", Severity.ERROR: "✗"}
_PLAIN = {"✓": "+", "✗": "X", "·": "-"}
_COLOURS = {Severity.OK: "32", Severity.INFO: "36", Severity.WARNING: "33", Severity.ERROR: "31"}
_BOLD, _GREY = "1", "90"


def show(findings: Sequence[Finding], *, verbose: bool) -> None:
    """Print all; what is well only with `verbose`, and otherwise as a number."""
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    encoding = sys.stdout.encoding or "ascii"
    for line in _lines(findings, verbose, width):
        text = line if _fits(line, encoding) else "".join(_PLAIN.get(c, c) for c in line)
        print(text.encode(encoding, "replace").decode(encoding))


def _fits(line: str, encoding: str) -> bool:
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _lines(findings: Sequence[Finding], verbose: bool, width: int) -> Iterator[str]:
    well = []
    for group, members in groupby(findings, lambda finding: finding.group):
        each = [f for f in members if not f.unseen]
        shown = [f for f in each if verbose or f.severity is not Severity.OK]
        title = _TITLES.get(group, group.capitalize())
        count = sum(f.severity is Severity.OK for f in each)
        if not shown:
            well += [f"{title} ({count})"] if each else []
            continue
        rest = f"  {count} ok" if count and not verbose else ""
        yield _paint(title, _BOLD) + _paint(rest, _GREY)
        before = None
        for finding in shown:
            yield from _finding(_unrepeated(finding, before), width)
            before = finding
        yield ""
    if well:
        yield from _wrapped(f"All well: {', '.join(well)}", width, _paint("✓", _COLOURS[Severity.OK]) + " ", "  ")
    yield from _unseen([f for f in findings if f.unseen], width)
    yield _summary(findings, verbose)


def _unrepeated(finding: Finding, before: Finding | None) -> Finding:
    """What the line before has explained already is not said again."""
    if before is None or before.check != finding.check or before.why != finding.why:
        return finding
    return finding._replace(why="", todo="" if before.todo == finding.todo else finding.todo)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    colour = _COLOURS[finding.severity]
    mark = "  " + _paint(_MARKS[finding.severity], colour) + " "
    if finding.severity is Severity.OK:
        yield from _wrapped(finding.what, width, mark, "    ")
        return
    lines = list(_wrapped(finding.what, width, mark, "    "))
    name = f"[{finding.check}]"
    if _visible(lines[-1]) + len(name) + 2 <= width:
        lines[-1] += "  " + _paint(name, _GREY)
    else:
        lines.append("    " + _paint(name, _GREY))
    yield from lines
    if finding.why:
        yield from _wrapped(finding.why, width, "    ", "    ", _GREY)
    if finding.todo:
        yield from _wrapped(finding.todo, width, "    ", "    ")
    if finding.command:
        yield "      " + _paint(finding.command, _BOLD)  # in one line, whatever the width, to be pasted


def _unseen(findings: Sequence[Finding], width: int) -> Iterator[str]:
    if findings:
        names = ", ".join(f.check for f in findings)
        mark = _paint("·", _GREY) + " "
        root = " Run it as root to look everywhere." if any("root" in f.todo for f in findings) else ""
        yield from _wrapped(f"Not looked at, for want of rights: {names}.{root}", width, mark, "  ")


def _summary(findings: Sequence[Finding], verbose: bool) -> str:
    seen = [f.severity for f in findings if not f.unseen]
    parts = []
    for severity, words in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")):
        count = seen.count(severity)
        if count:
            parts.append(_paint(f"{count} {words}{'' if count == 1 else 's'}", _COLOURS[severity]))
    parts.append(f"{seen.count(Severity.OK)} ok")
    return ", ".join(parts) + ("" if verbose else "  " + _paint("(-v shows what is ok, too)", _GREY))


def _wrapped(text: str, width: int, first: str, indent: str, colour: str = "") -> Iterator[str]:
    text = "".join(c if c.isprintable() else "?" for c in text)  # it may come from files of others
    room = max(20, width - len(indent))
    for number, line in enumerate(textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]):
        yield (indent if number else first) + _paint(line, colour)


def _visible(line: str) -> int:
    """The columns that a line takes on a terminal."""
    length, within = 0, False
    for c in line:
        if c == "\x1b":
            within = True
        elif within:
            within = c != "m"
        else:
            length += 1
    return length


def _paint(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if colour and text and colourful() else text
