"""Links between pages lead somewhere, and files that pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|md|sh|proto|toml|service|conflist))`")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_links_resolve(pages: list[Path]) -> None:
    broken = []
    for page in pages:
        for target in LINK.findall(without_code(page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path) if path else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_files_that_pages_name_exist(pages: list[Path], root: Path) -> None:
    """A path in backquotes is one of the checkout, of the package, or of the room that the page is about."""
    missing = []
    for page in pages:
        places = [root, root / "src/cricket", page.parent, root / "src/cricket" / page.stem.partition("-")[0]]
        for path in PATH.findall(page.read_text()):
            absolute = f"/{path}" in page.read_text()
            if not absolute and not any((place / path).exists() for place in places):
                missing.append(f"{page.name}: {path}")
    assert not missing
