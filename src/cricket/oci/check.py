"""Checks of hostile input: every string and number of a request passes here before it reaches a spec or a path."""

from __future__ import annotations

from cricket.errors import InvalidArgument

PATH_MAX = 4096
_SHOWN = 200


def text(value: str, field: str) -> str:
    """`value` when a C string can hold it. Raises InvalidArgument that names `field`."""
    if "\0" in value:
        raise InvalidArgument(f"{field} contains a NUL byte", where=repr(value[:_SHOWN]))
    return value


def absolute_path(value: str, field: str) -> str:
    """`value` as an absolute path without "//", "." and a final slash. Raises InvalidArgument that names `field`.

    ".." is refused rather than resolved: what it means depends on symlinks in a file system that is not ours.
    """
    text(value, field)
    if not value.startswith("/"):
        raise InvalidArgument(f"{field} is not an absolute path", where=repr(value[:_SHOWN]))
    if len(value.encode("utf-8", "surrogateescape")) >= PATH_MAX:
        raise InvalidArgument(f"{field} is longer than {PATH_MAX - 1} bytes", where=repr(value[:_SHOWN]))
    parts = [p for p in value.split("/") if p not in ("", ".")]
    if ".." in parts:
        raise InvalidArgument(f'{field} contains ".."', where=repr(value[:_SHOWN]))
    return "/" + "/".join(parts)


def between(value: int, low: int, high: int, field: str) -> int:
    """`value` when low <= value <= high. Raises InvalidArgument that names `field`."""
    if not low <= value <= high:
        raise InvalidArgument(f"{field} is {value}, which is not between {low} and {high}")
    return value


def within(path: str, directory: str) -> bool:
    """Whether the normalised `path` is `directory` or lies below it."""
    return path == directory or directory == "/" or path.startswith(directory + "/")
