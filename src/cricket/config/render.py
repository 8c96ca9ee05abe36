"""Writing TOML: the commented default file, and the configuration in force with the origin of each value."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec

from cricket.config.load import Loaded
from cricket.config.model import Config
from cricket.config.table import Entry, fields, is_named


def toml_value(value: Any, octal: bool = False) -> str:
    """A string, number, boolean or list of strings as TOML 1.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"0o{value:o}" if octal else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL and for pairs of surrogates, which ensure_ascii would make.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(toml_value(item) for item in value) + "]"


def default_toml() -> str:
    """The default configuration, each key commented out below its meaning; an empty file means the same."""
    lines = ["# Cricket's configuration. Every key is shown with its default."]
    for header, struct, value in _tables(Config()):
        if header:
            lines += ["", "", *_comment(_first_line(struct)), f"[{header}]"]
        for name, entry in fields(struct).items():
            if isinstance(entry, Entry):
                lines += ["", *_comment(_meaning(entry))]
                lines.append(f"# {name} = {toml_value(getattr(value, name), entry.key.octal)}")
    return "\n".join(lines) + "\n"


def show_toml(loaded: Loaded, origin: bool = False) -> str:
    """The configuration in force as TOML; with `origin` each line says which file set it."""
    lines: list[str] = []
    for header, struct, value in _tables(loaded.config):
        if header:
            lines += ["", f"[{header}]"]
        for name, entry in fields(struct).items():
            if isinstance(entry, Entry):
                line = f"{name} = {toml_value(getattr(value, name), entry.key.octal)}"
                where = loaded.origin(f"{header}.{name}" if header else name)
                lines.append(f"{line}  # {where}" if origin else line)
    return "\n".join(lines) + "\n"


def _tables(config: Config) -> Iterator[tuple[str, type[msgspec.Struct], Any]]:
    yield "", Config, config
    for name, struct in fields(Config).items():
        if isinstance(struct, Entry):
            continue
        value = getattr(config, name)
        if is_named(struct):
            for each in sorted(value):
                yield f"{name}.{each}", struct, value[each]
        else:
            yield name, struct, value


def _meaning(entry: Entry) -> str:
    choices = f" One of: {', '.join(entry.key.choices)}." if len(entry.key.choices) > 1 else ""
    return entry.key.doc + choices + ("" if entry.key.live else " (A change needs a restart.)")


def _first_line(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").partition("\n")[0]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ")
