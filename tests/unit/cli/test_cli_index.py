"""Finding commands by what people type."""

from __future__ import annotations

import importlib

import pytest

from cricket.cli import index
from cricket.cli.options import Parser


@pytest.mark.parametrize("alias", index.ALIASES)
def test_aliases_mean_a_command_and_options_that_it_has(alias: str) -> None:
    assert alias not in {entry.name for entry in index.entries(hidden=True)}
    entry, rest = index.find([*alias.split(), "X", "--more"])
    meant = index.ALIASES[alias]
    assert entry is not None and entry.name == meant[0] and rest == [*meant[1:], "X", "--more"]
    parser = Parser("cricket", "", "")
    importlib.import_module(entry.module).configure(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert {word for word in meant if word.startswith("-")} <= options


def test_the_longer_name_wins_and_a_command_over_an_alias() -> None:
    def found(text: str) -> tuple[str, list[str]]:
        entry, rest = index.find(text.split())
        return entry.name if entry else "", rest

    assert found("images check -o json") == ("images check", ["-o", "json"])
    assert found("image check") == ("images", ["check"])
    assert found("image ls -q") == ("images", ["-q"])
    assert found("describe pod web") == ("inspect", ["--kind", "pod", "web"])
    assert found("describe web") == ("inspect", ["web"])
    assert found("imagefsinfo") == ("imagefsinfo", [])
    assert found("container")[0] == found("get nodes")[0] == found("")[0] == ""
