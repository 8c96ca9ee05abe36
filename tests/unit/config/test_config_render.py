"""What is written: the default file, the shown configuration, the reference page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from cricket.config.load import load
from cricket.config.model import Config
from cricket.config.reference import page
from cricket.config.render import default_toml, show_toml, toml_value
from cricket.config.table import entry_of, table

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_default_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(default_toml())
    assert load(str(path)).config == Config()


def test_the_default_file_without_its_comments_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(re.sub(r"(?m)^# (\w+ = )", r"\1", default_toml()))
    loaded = load(str(path))
    assert loaded.config == Config()
    assert {re.sub("^handlers.[a-z]+", "handlers.<name>", key) for key in loaded.origins} == set(table())


def test_the_shown_configuration_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('socket_mode = 0o600\n[handlers.k]\npath = "/k"\nallowed_annotations = ["a\\"\\\\\\u007f*"]')
    loaded = load(str(path))
    text = show_toml(loaded, origin=True)
    assert msgspec.convert(tomllib.loads(text), Config) == loaded.config
    assert f"socket_mode = 0o600  # {path}\n" in text
    assert 'root = "/var/lib/cricket"  # default\n' in text
    assert "#" not in show_toml(loaded)


def test_values() -> None:
    assert [toml_value(v) for v in (True, 3, 1.5, "a\n", ["x", "y"])] == ["true", "3", "1.5", '"a\\n"', '["x", "y"]']


def test_every_key_has_a_meaning_that_is_a_sentence() -> None:
    for name, entry in table().items():
        assert entry.key.doc.endswith("."), name


def test_entries_of_concrete_keys() -> None:
    assert entry_of("handlers.anything.path") is table()["handlers.<name>.path"]
    assert entry_of("handlers.path") is None


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page(), "run: python -m cricket.config.reference > docs/configuration.md"
