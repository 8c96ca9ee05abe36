"""The reload plan."""

from __future__ import annotations

from msgspec.structs import replace

from cricket.config.model import Config, Handler, Log
from cricket.config.reload import Change, plan


def test_nothing_changed() -> None:
    assert plan(Config(), Config()) == plan(Config(), Config())
    assert plan(Config(), Config()).applied == plan(Config(), Config()).needs_restart == ()


def test_live_keys_are_applied_and_others_held_back() -> None:
    new = replace(Config(), root="/new", log=Log(level="debug", format="json"))
    found = plan(Config(), new)
    assert found.applied == (Change("log.level", "info", "debug"),)
    assert found.needs_restart == (Change("log.format", "text", "json"), Change("root", "/var/lib/cricket", "/new"))
    assert found.config == replace(Config(), log=Log(level="debug"))


def test_a_handler_that_comes_or_goes_waits_for_a_restart() -> None:
    new = replace(Config(), handlers={**Config().handlers, "k": Handler(path="/k", root="/r")})
    found = plan(Config(), new)
    assert found.config == Config()
    assert not found.applied
    assert Change("handlers.k.path", None, "/k") in found.needs_restart
    back = plan(new, Config())
    assert back.config == new
    assert Change("handlers.k.path", "/k", None) in back.needs_restart
