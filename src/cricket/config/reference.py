"""docs/configuration.md, made from the table of keys: `python -m cricket.config.reference > docs/configuration.md`."""

from __future__ import annotations

import sys

import msgspec

from cricket.config.render import toml_value
from cricket.config.table import NAME, Entry, fields, sections

_INTRO = """\
# Configuration

<!-- Made by `python -m cricket.config.reference`; a test compares. Edit src/cricket/config/model.py instead. -->

Cricket reads `/etc/cricket/config.toml`, then `/etc/cricket/config.toml.d/*.toml` in order of file name. Tables are
merged key by key; scalars and lists replace what came before. No file is needed: every key has a default. A key that
is not known is an error. Times are in seconds and sizes in bytes.

- `cricket config default` prints a commented file, `cricket config check` validates, `cricket config show --origin`
  shows each value in force and the file that set it.
- Reload: `yes` means that SIGHUP applies a change, to what is made from then on; `no` means that a restart does.
  Containers keep running over a restart.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_INTRO]
    for header, struct in sections():
        title = f"`[{header}]`" if header else "Top level"
        parts.append(f"## {title}\n\n{_about(struct) if header else 'Before the first section.'}\n")
        rows = ["| key | type | default | reload | meaning |", "|---|---|---|---|---|"]
        rows += [_row(name, entry, header) for name, entry in fields(struct).items() if isinstance(entry, Entry)]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _about(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").strip()


def _row(name: str, entry: Entry, header: str) -> str:
    key = entry.key
    kinds = {str: "string", int: "integer", float: "number", bool: "boolean"}
    default = f"`{toml_value(entry.default, key.octal)}`"
    if header.endswith(NAME) and name == "path":
        default = "`crun` and `runc` for the built-in ones"
    meaning = key.doc
    if key.choices:
        meaning += (
            " " + ("One of " if len(key.choices) > 1 else "Only ") + ", ".join(f"`{c}`" for c in key.choices) + "."
        )
    if limits := _limits(entry):
        meaning += f" {limits}"
    cells = [f"`{name}`", kinds.get(entry.type, "list of strings"), default, "yes" if key.live else "no", meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _limits(entry: Entry) -> str:
    low, high = entry.key.low, entry.key.high
    if entry.key.octal or (low is None and high is None):
        return ""
    if high is None:
        return f"At least {low:g}."
    return f"{low or 0:.12g} to {high:.12g}."


if __name__ == "__main__":
    sys.stdout.write(page())
