"""Reading other people's TOML: typed access to keys, where each error names the file and the key."""

from __future__ import annotations

import os
from typing import Any

from cricket.errors import FailedPrecondition, map_errors

_FILE_MAX = 4 << 20


class Table:
    """A table of a TOML file. Keys that are never asked for are listed by `unknown()`, for a note and not an error."""

    def __init__(self, file: str, values: dict[str, Any], prefix: str = "") -> None:
        self.file, self.values, self.prefix = file, values, prefix
        self._asked: set[str] = set()

    def wrong(self, key: str, what: str, todo: str = "") -> FailedPrecondition:
        """The error to raise for a key."""
        return FailedPrecondition(what, where=f"{self.file}, key {(self.prefix + key).rstrip('.')}", todo=todo)

    def text(self, key: str) -> str:
        """A string, "" when missing."""
        value = self._get(key, "")
        if not isinstance(value, str):
            raise self.wrong(key, "a string is wanted")
        return value

    def flag(self, key: str) -> bool | None:
        """A boolean, None when missing."""
        value = self._get(key, None)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false is wanted")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings, None when missing."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of strings is wanted")
        return tuple(value)

    def raw(self, key: str) -> Any:
        """Whatever is there, None when missing."""
        return self._get(key, None)

    def table(self, key: str) -> Table:
        """A table below; an empty one when missing."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "a table is wanted")
        return Table(self.file, value, f"{self.prefix}{key}.")

    def tables(self, key: str) -> list[Table]:
        """A list of tables ([[key]])."""
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"a list of tables is wanted, written as [[{key}]]")
        return [Table(self.file, item, f"{self.prefix}{key}[{i}].") for i, item in enumerate(value)]

    def named_tables(self, key: str) -> list[tuple[str, Table]]:
        """Tables by name ([key."name"]), in the order of the file."""
        below = self.table(key)
        found = []
        for name, value in below.values.items():
            if not isinstance(value, dict):
                raise self.wrong(f'{key}."{name}"', "a table is wanted")
            found.append((name, Table(self.file, value, f'{self.prefix}{key}."{name}".')))
        return found

    def unknown(self) -> list[str]:
        """Keys that nobody asked for."""
        return [self.prefix + key for key in self.values if key not in self._asked]

    def _get(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        return self.values.get(key, default)


def read_table(path: str) -> Table | None:
    """The whole of a TOML file, None when it is missing. Raises FailedPrecondition, naming the file (and line)."""
    with map_errors(OSError, FailedPrecondition, "cannot read a registry configuration file", where=path):
        try:
            with open(path, "rb") as f:
                data = f.read(_FILE_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
    if len(data) > _FILE_MAX:
        raise FailedPrecondition("a registry configuration file is larger than 4 MiB", where=path)
    import tomllib  # only hosts with such files pay for it

    try:
        return Table(path, tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise FailedPrecondition("not valid TOML", where=path) from e


def list_files(directory: str, suffix: str) -> list[str]:
    """Paths of the plain files of a directory with a suffix, sorted; a missing directory has none."""
    with map_errors(OSError, FailedPrecondition, "cannot read a directory of registry configuration", where=directory):
        try:
            names = sorted(name for name in os.listdir(directory) if name.endswith(suffix))
        except (FileNotFoundError, NotADirectoryError):
            return []
    return [path for path in (os.path.join(directory, name) for name in names) if not os.path.isdir(path)]
