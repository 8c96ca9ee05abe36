"""The rooms as the pages show them are those of the code and of the import contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scripts.state_diagram import updated

NO_PAGE = {"_proto"}


@pytest.fixture
def rooms(root: Path) -> set[str]:
    return {p.parent.name for p in (root / "src/cricket").glob("*/__init__.py")} - NO_PAGE


@pytest.fixture
def architecture(root: Path) -> str:
    return (root / "ARCHITECTURE.md").read_text()


def test_every_room_has_a_page_and_its_line(root: Path, rooms: set[str], architecture: str) -> None:
    for room in rooms:
        assert (root / f"docs/rooms/{room}.md").exists(), room
        assert f"| `{room}` |" in architecture, room
        assert f"](docs/rooms/{room}.md)" in architecture, room


def test_no_page_is_about_a_room_that_is_gone(root: Path, rooms: set[str]) -> None:
    pages = {p.stem.partition("-")[0] for p in (root / "docs/rooms").glob("*.md")}
    assert pages == rooms


def test_the_layers_are_those_of_the_contract(root: Path, architecture: str) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    assert "```\n" + "\n".join(layers) + "\n```" in architecture


@pytest.mark.parametrize("room", ["config", "kernel", "lifecycle", "monitor", "store", "types"])
def test_every_module_of_a_room_is_on_its_page(root: Path, room: str) -> None:
    """By its name, by the part after a prefix that stands before it (`_v2`), or by a pattern (`checkpoint_*`)."""
    words = set(
        re.findall(r"[\w*]+", " ".join(re.findall(r"`([^`\n]+)`", (root / f"docs/rooms/{room}.md").read_text())))
    )
    for module in (root / "src/cricket" / room).glob("[a-z]*.py"):
        head, _, tail = module.stem.partition("_")
        assert words & {module.stem, f"_{tail or head}", f"{head}_*"}, f"{room}/{module.name} is not on the page"


def test_the_state_diagrams_are_current(architecture: str) -> None:
    assert updated(architecture) == architecture, "run: python -m scripts.state_diagram --write"


def test_every_dependency_is_explained(root: Path) -> None:
    page = (root / "docs/dependencies.md").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for dependency in project["dependencies"]:
        assert f"| `{dependency.partition('==')[0]}` |" in page
