"""What a shell is told: one candidate a line, with a tab and a few words about it; directives begin with a colon.

`:file` and `:dir` ask the shell for its own file names, `:nospace` not to end the word. Nothing is ever said on
standard error and the exit code is 0: a key that completes nothing is answer enough.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
from collections.abc import Iterator, Sequence

from cricket.cli import index
from cricket.cli.completing import kind_of
from cricket.cli.completion.live import KINDS, Asker, Candidate
from cricket.cli.completion.place import NOWHERE, Place, find
from cricket.cli.options import Parser, add_client
from cricket.errors import CricketError

FILE, DIR, NOSPACE = ":file", ":dir", ":nospace"
_FORMS = ("table", "wide", "name", "json", "yaml", "jsonpath=")
_SHELL = {"file": FILE, "dir": DIR}


def main(words: Sequence[str]) -> int:
    """Print what the last of the words may become; the words before it are finished."""
    for line in lines(words):
        print(line)
    return 0


def lines(words: Sequence[str]) -> list[str]:
    """Candidates that begin with the last word, and directives."""
    *before, word = words or ("",)
    found = {candidate.value: candidate for candidate in _answer(before, word)}.values()
    fitting = [c for c in found if c.value.startswith(":") or (c.value.startswith(word) and c.value not in before)]
    values = [c.value for c in fitting if not c.value.startswith(":")]
    if values and all(value.endswith(("=", ":")) for value in values):
        fitting.append(Candidate(NOSPACE))
    return [f"{c.value}\t{_one_line(c.about)}" if c.about else c.value for c in fitting]


def _one_line(text: str) -> str:
    return " ".join(word for word in text.split() if word.isprintable())


def _answer(before: list[str], word: str) -> Iterator[Candidate]:
    leading, rest, place = _leading(before, word)
    if rest is None:
        yield from _values("", place, word, leading)
        if word.startswith("-"):
            yield from _names(place)
        elif not place.actions:
            yield from _commands([])
        return
    asks_help = rest[:1] == ["help"]
    rest = rest[1:] if asks_help else rest
    entry, words = index.find(rest)
    if entry is None or len(rest) == 1:
        yield from _commands(rest)  # also the second word of a command that is a family as well
    if entry is None or asks_help:
        return
    parser = Parser(f"cricket {entry.name}", "", "")
    importlib.import_module(entry.module).configure(parser)
    place = find(parser, words, word)
    yield from _values(entry.name, place, word, [*leading, *words])
    yield from _names(place)


def _leading(before: list[str], word: str) -> tuple[list[str], list[str] | None, Place]:
    """Options before the command, and the words from the command on: None when that is not there yet."""
    parser = Parser("cricket", "", "")
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("-h", "--help", action="store_true", help="list the commands")
    add_client(parser)
    for at, each in enumerate(before):
        place = find(parser, before[:at], each)
        if not place.actions and not each.startswith("-"):
            return before[:at], before[at:], NOWHERE
    return before, None, find(parser, before, word)


def _commands(before: Sequence[str]) -> Iterator[Candidate]:
    """The commands that go on after these words, of families the first word; behind a first word also aliases."""
    depth, seen = len(before), set()
    for entry in index.entries():
        words = entry.name.split()
        if words[:depth] == list(before) and len(words) > depth and words[depth] not in seen:
            seen.add(words[depth])
            exact = len(words) == depth + 1
            family = ", ".join(e.name.partition(" ")[2] for e in index.below(words[depth]))
            yield Candidate(words[depth], entry.summary if exact else family)
    for alias, meant in index.ALIASES.items() if before else ():
        words = alias.split()
        if words[:depth] == list(before) and len(words) > depth:
            yield Candidate(words[depth], f"cricket {' '.join(meant)}")


def _names(place: Place) -> Iterator[Candidate]:
    """Options, the long names first."""
    for name in sorted(place.options, key=lambda name: (not name.startswith("--"), name)):
        yield Candidate(name, (place.options[name].help or "").replace("%%", "%"))


def _values(command: str, place: Place, word: str, before: Sequence[str]) -> Iterator[Candidate]:
    typed = word.removeprefix(place.prefix)
    for action in place.actions:
        for candidate in _value(command, action, typed, before):
            directive = candidate.value.startswith(":")
            yield candidate if directive else candidate._replace(value=place.prefix + candidate.value)


def _value(command: str, action: argparse.Action, word: str, before: Sequence[str]) -> Iterator[Candidate]:
    if action.choices is not None:
        yield from (Candidate(str(choice)) for choice in action.choices)
        return
    for kind in kind_of(command, action).split("|"):
        if kind in _SHELL:
            yield Candidate(_SHELL[kind])
        elif kind in KINDS:
            with contextlib.suppress(CricketError, OSError):
                yield from KINDS[kind](Asker(_endpoint(before)), command, word)
        elif kind.startswith("="):
            yield from (Candidate(value) for value in kind[1:].split(","))
        elif kind == "form":
            yield from _forms(action)
        elif kind == "endpoint":
            yield from _endpoints()
        elif kind == "check":
            from cricket.cli.doctor.checks import CHECKS, GROUPS

            yield from (Candidate(group, "a group of checks") for group in GROUPS)
            yield from (Candidate(check.name, check.question) for check in CHECKS)
        elif kind == "command":
            yield from _commands([])


def _forms(action: argparse.Action) -> Iterator[Candidate]:
    """The forms of -o that this command's check lets pass."""
    for form in _FORMS:
        with contextlib.suppress(argparse.ArgumentTypeError):
            if callable(action.type):
                action.type(form + "{.x}" if form.endswith("=") else form)
            yield Candidate(form)


def _endpoints() -> Iterator[Candidate]:
    """The sockets of runtimes that are there."""
    from cricket.client.discover import KNOWN

    yield from (Candidate(known.url, known.name) for known in KNOWN if os.path.exists(known.path))
    yield Candidate(FILE)


def _endpoint(before: Sequence[str]) -> str:
    """The runtime that the line means. Raises as `discover` does."""
    from cricket.client.discover import configured, discover

    option = ""
    for at, word in enumerate(before):
        name, equals, value = word.partition("=")
        if name in ("-r", "--runtime-endpoint"):
            option = value if equals else "".join(before[at + 1 : at + 2])
    return (configured(option, os.environ) or discover()).url
