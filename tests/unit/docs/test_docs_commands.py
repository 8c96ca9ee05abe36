"""Commands that pages show exist, with the options that they are shown with."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

from cricket.cli import index
from cricket.cli.errors import UsageError
from cricket.cli.options import Parser

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(cricket [a-z][^`]*)`")
PLACEHOLDERS = re.compile(r"\.\.\.|[A-Z]{2,}")


def shown(page: Path) -> list[str]:
    """The lines of console blocks without prompt and comment, and the commands within the text."""
    text = page.read_text()
    blocks = [line for block in CONSOLE.findall(text) for line in block.splitlines()]
    lines = [re.sub(r"\s+#.*", "", line.removeprefix("$ ")) for line in blocks]
    return [*lines, *(words.replace("\n", " ") for words in INLINE.findall(text))]


def refused(line: str) -> bool:
    """Whether a line that begins with `cricket` is none of its commands, or has options that the command has not."""
    words = shlex.split(line.partition(" | ")[0])[1:]
    if not words or words[0].startswith("-"):
        return False
    entry, rest = index.find(words)
    if entry is None:
        return not index.below(words[0])
    module = importlib.import_module(entry.module)
    parser = Parser(f"cricket {entry.name}", "", "")
    module.configure(parser)
    try:
        # A mention of a command without its arguments is no example of it.
        parser.parse_args(rest)
    except UsageError as error:
        return "required" not in str(error)
    return False


def test_cricket_commands_exist(pages: list[Path]) -> None:
    lines = {(page.name, line) for page in pages for line in shown(page) if re.match(r"cricket\b(?!\s*[:/])", line)}
    assert len(lines) > 20
    assert [entry for entry in sorted(lines) if refused(entry[1])] == []


def test_make_targets_exist(pages: list[Path], root: Path) -> None:
    rules = "\n".join(p.read_text() for p in (root / "Makefile", *root.glob("mk/*.mk")))
    targets = set(re.findall(r"^([a-z-]+):", rules, re.MULTILINE))
    for page in pages:
        said = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
        assert set(said) <= targets, page.name


def test_the_demo_is_shown_as_it_is(root: Path) -> None:
    readme, demo = (root / "README.md").read_text(), (root / "scripts/demo.py").read_text()
    hops = set(re.findall(r"^  (\S.+?) +[\d.]+ ms$", readme, re.MULTILINE))
    assert len(hops) > 8
    for hop in hops:
        assert hop in demo or re.sub(r"Container (web|client)\b", "Container {name}", hop) in demo
