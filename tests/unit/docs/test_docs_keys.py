"""No key of the configuration is a promise that nobody keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cricket.config.table import table


@pytest.fixture(scope="module")
def code() -> str:
    """The package without the config room, which only carries the values."""
    package = Path(__file__).parents[3] / "src/cricket"
    files = (
        p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in ("config", "_proto", "cli", "bench")
    )
    return "\n".join(p.read_text() for p in files)


@pytest.mark.parametrize("key", table())
def test_the_key_is_read_somewhere(key: str, code: str) -> None:
    section, _, name = key.rpartition(".")
    last = section.rpartition(".")[2].strip("<>")
    assert re.search(rf"\b(_?config|_?rules|{last or 'config'})\.{name}\b", code)
