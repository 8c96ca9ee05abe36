"""Where in a command line a word stands: as which option's value, as which argument, or as the name of an option."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """`actions`: whose values may stand here. `prefix`: what stands before the value in the same word (`--pod=`).

    `options`: options that may begin here, by name.
    """

    actions: tuple[argparse.Action, ...]
    prefix: str
    options: dict[str, argparse.Action]


NOWHERE = Place((), "", {})


def find(parser: argparse.ArgumentParser, before: Sequence[str], word: str) -> Place:
    """The place of `word` behind the words `before` of the same command."""
    walk = _Walk(parser)
    for each in before:
        walk.take(each)
    return walk.place(word)


class _Walk:
    """Takes word after word as argparse would, as far as that can be known of unfinished lines."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._options = {name: action for action in parser._actions for name in action.option_strings}
        self._arguments = [action for action in parser._actions if not action.option_strings]
        self._pending: argparse.Action | None = None  # an option that waits for its value
        self._used: set[argparse.Action] = set()
        self._count = 0  # words for the argument whose turn it is
        self._plain = False  # behind `--`, or within what belongs to another program

    def take(self, word: str) -> None:
        """A word that is finished."""
        if self._pending is not None:
            self._pending = None
        elif word == "--" and not self._plain:
            self._plain = True
        elif word.startswith("-") and word != "-" and not self._plain:
            name, equals, _ = word.partition("=")
            action = self._options.get(name)
            if action is not None:
                self._used.add(action)
                self._pending = action if action.nargs != 0 and not equals else None
        else:
            self._argument()

    def _argument(self) -> None:
        if not self._arguments:
            return
        turn = self._arguments[0]
        self._count += 1
        if turn.nargs == argparse.REMAINDER:
            self._plain = True
        elif turn.nargs in (None, argparse.OPTIONAL):
            self._arguments.pop(0)
            self._count = 0
            if self._arguments and self._arguments[0].nargs == argparse.REMAINDER:
                self._plain = True  # its first word ends the options already

    def place(self, word: str) -> Place:
        """The place of the word that is being written."""
        if self._pending is not None:
            return Place((self._pending,), "", {})
        name, equals, _ = word.partition("=")
        if equals and not self._plain and (action := self._options.get(name)) is not None:
            return Place((action,), f"{name}=", {}) if action.nargs != 0 else NOWHERE
        if word.startswith("-") and not self._plain:
            return Place((), "", self._offered())
        return Place(self._turn(), "", {} if self._plain or self._arguments else self._offered())

    def _turn(self) -> tuple[argparse.Action, ...]:
        """The argument whose turn it is; one that takes many words may be over, so the next one counts as well."""
        many = bool(self._arguments) and self._arguments[0].nargs in (argparse.ZERO_OR_MORE, argparse.ONE_OR_MORE)
        return tuple(self._arguments[: 2 if many and self._count else 1])

    def _offered(self) -> dict[str, argparse.Action]:
        """Options that are not hidden, and not said already unless they may be said again."""
        return {
            name: action
            for name, action in self._options.items()
            if action.help != argparse.SUPPRESS
            and (action not in self._used or isinstance(action, argparse._AppendAction))
        }
