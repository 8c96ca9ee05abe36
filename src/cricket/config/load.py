"""Reading: one file, its drop-ins in order of name, then overrides; every value remembers where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cricket.config.check import ConfigError, Problem, check_file
from cricket.config.check_whole import check_whole
from cricket.config.merge import flatten, merge, nest
from cricket.config.model import Config, built_in_handlers
from cricket.errors import FailedPrecondition, NotFound

DEFAULT_PATH = "/etc/cricket/config.toml"
OVERRIDE = "command line"
DEFAULT = "default"


class Loaded(msgspec.Struct, frozen=True):
    """A valid configuration; `origins` maps each dotted key that was set to what set it: a file or "command line"."""

    config: Config
    origins: dict[str, str] = {}
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def origin(self, key: str) -> str:
        """Where the value of a dotted key comes from: a path, "command line" or "default"."""
        return self.origins.get(key, DEFAULT)


def load(path: str = DEFAULT_PATH, dropin_dir: str | None = None, overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Read `path`, then `dropin_dir` (default: `path` + ".d") in order of file name, then `overrides` (dotted keys).

    Tables are merged, scalars and lists replaced. The default file may be missing, another one raises NotFound; a
    missing directory is no error. Raises ConfigError, with every problem found, each naming its file and key.
    """
    files = _files(path, f"{path}.d" if dropin_dir is None else dropin_dir)
    sources = [(name, _read(name)) for name in files]
    if overrides:
        sources.append((OVERRIDE, nest(overrides)))
    problems: list[Problem] = []
    for name, table in sources:
        problems += check_file(_short(name, path), table)
    if problems:
        raise ConfigError(problems)
    merged: dict[str, Any] = {"handlers": msgspec.to_builtins(built_in_handlers())}
    origins: dict[str, str] = {}
    for name, table in sources:
        merge(merged, table)
        origins.update(dict.fromkeys(flatten(table), name))
    config = msgspec.convert(merged, Config)
    problems, warnings = check_whole(config, lambda key: _short(_who_set(key, sources), path))
    if problems:
        raise ConfigError(problems)
    return Loaded(config, origins, tuple(files), tuple(warnings))


def _files(path: str, dropin_dir: str) -> list[str]:
    found = []
    if os.path.exists(path):
        found.append(path)
    elif path != DEFAULT_PATH:
        raise NotFound("the configuration file does not exist", where=path)
    try:
        names = sorted(os.listdir(dropin_dir))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as e:
        raise FailedPrecondition("cannot read the directory of drop-ins", where=dropin_dir) from e
    return found + [os.path.join(dropin_dir, name) for name in names if name.endswith(".toml") and name[0] != "."]


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as e:
        raise FailedPrecondition("cannot read the configuration file", where=path) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError([Problem(path, "", f"not valid TOML: {e}")]) from e
    except RecursionError as e:
        raise ConfigError([Problem(path, "", "nested too deeply")]) from e


def _who_set(key: str, sources: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The source that set `key`; when none did, one that has its table, as that is where a missing key should go."""
    *parents, last = key.split(".")
    near = DEFAULT
    for name, source in sources[::-1]:
        table = _table_at(source, parents)
        if table is not None and last in table:
            return name
        if table is not None and parents and near == DEFAULT:
            near = name
    return near


def _table_at(source: Mapping[str, Any], parents: Sequence[str]) -> Mapping[str, Any] | None:
    at = source
    for parent in parents:
        below = at.get(parent)
        if not isinstance(below, Mapping):
            return None
        at = below
    return at


def _short(name: str, path: str) -> str:
    """The file as messages show it: relative to the directory of the main file."""
    base = os.path.dirname(path) + "/"
    return name.removeprefix(base)
