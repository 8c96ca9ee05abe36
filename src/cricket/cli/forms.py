"""The forms of -o: which there are, and documents in the one that was asked for.

`table` and `wide` are for people, and each command draws its own; the others are the same everywhere: the JSON of
CRI's messages (as crictl prints it) as JSON or YAML.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from cricket.cli.output import plain


def form(wide: bool, name: bool) -> Callable[[str], str]:
    """The type of -o for argparse."""
    plains = ["table", *(["wide"] if wide else []), *(["name"] if name else []), "json", "yaml"]

    def check(text: str) -> str:
        if text not in plains:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(plains)}")
        return text

    return check


def for_people(form: str) -> bool:
    """Whether it is a table, a tree or lines that a command draws itself."""
    return form in ("table", "wide")


def print_document(form: str, value: Any, *, stream: bool = False) -> bool:
    """Print a message or a plain value in the form of `args.output`; False, without a word, for the forms for people.

    With `stream` it is one document of many: a line of JSON, or YAML with its separator, seen at once.
    """
    if for_people(form) or form == "name":
        return False
    sys.stdout.write(_text(form, plain(value), stream))
    if stream:
        sys.stdout.flush()
    return True


def _text(form: str, value: Any, stream: bool) -> str:
    if form == "yaml":
        import yaml

        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120, explicit_start=stream)
        return text
    return json.dumps(value, indent=None if stream else 2, ensure_ascii=False) + "\n"
