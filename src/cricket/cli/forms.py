"""The forms of -o: which there are, and documents in the one that was asked for.

`table` and `wide` are for people, and each command draws its own; the others are the same everywhere: the JSON of
CRI's messages (as crictl prints it) as JSON, YAML or what a JSONPath (as kubectl has it) picks from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from cricket.cli.output import plain, safe

_TEMPLATE = "jsonpath="


def form(wide: bool, name: bool) -> Callable[[str], str]:
    """The type of -o for argparse. A wrong JSONPath is found before anything is done."""
    plains = ["table", *(["wide"] if wide else []), *(["name"] if name else []), "json", "yaml"]

    def check(text: str) -> str:
        if text.startswith(_TEMPLATE):
            return _template(text)
        if text not in plains:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(plains)} and jsonpath=EXPR")
        return text

    return check


def _template(text: str) -> str:
    from cricket.cli.jsonpath_parse import JsonPathError, parse

    try:
        parse(text.removeprefix(_TEMPLATE))
    except JsonPathError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def for_people(form: str) -> bool:
    """Whether it is a table, a tree or lines that a command draws itself."""
    return form in ("table", "wide")


def print_document(form: str, value: Any, *, items: str = "", stream: bool = False) -> bool:
    """Print a message or a plain value in the form of `args.output`; False, without a word, for the forms for people.

    `items` is the key of the list at the top, so that a JSONPath may call it `.items` as kubectl does. With `stream` it
    is one document of many: a line of JSON, or YAML with its separator, seen at once.
    """
    if for_people(form) or form == "name":
        return False
    sys.stdout.write(_text(form, plain(value), items, stream))
    if stream:
        sys.stdout.flush()
    return True


def _text(form: str, value: Any, items: str, stream: bool) -> str:
    if form == "yaml":
        import yaml

        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120, explicit_start=stream)
        return text
    if form == "json":
        return json.dumps(value, indent=None if stream else 2, ensure_ascii=False) + "\n"
    from cricket.cli.jsonpath import render

    terminal = sys.stdout.isatty()
    made = render(form.removeprefix(_TEMPLATE), value, items=items, clean=safe if terminal else str)
    # kubectl ends no line that was not asked for; on a terminal the shell's next prompt would stand behind it.
    return made + "\n" if (terminal or stream) and made and not made.endswith("\n") else made
