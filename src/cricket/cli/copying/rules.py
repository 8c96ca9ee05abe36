"""What a copy makes of source and destination: docker cp's rules, without I/O."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from cricket.cli.errors import UsageError
from cricket.errors import FailedPrecondition, NotFound

FILE, DIRECTORY, LINK, OTHER, ABSENT = "file", "directory", "link", "other", ""


class Spot(NamedTuple):
    """An end of the copy: `owner` is a container's name, "" this host; `path` as it was written."""

    owner: str
    path: str

    @property
    def contents(self) -> bool:
        """Whether what is in the directory is meant, and not the directory."""
        return self.path in (".", "/") or self.path.endswith("/.")

    @property
    def wants_directory(self) -> bool:
        """Whether only a directory will do."""
        return self.contents or self.path.endswith("/")

    @property
    def name(self) -> str:
        """The last component, "" for a root."""
        path = self.path if self.owner else os.path.abspath(self.path)
        return os.path.basename(os.path.normpath("/" + path))

    def __str__(self) -> str:
        return f"{self.owner}:{self.path}" if self.owner else self.path


def spot(text: str) -> Spot:
    """`CONTAINER:PATH` or a path of this host; one with a colon is written with a / or . first. Raises UsageError."""
    owner, colon, path = text.partition(":")
    if not colon or not owner or owner.startswith((".", "/", "-")):
        if not text:
            raise UsageError("a path is empty")
        return Spot("", text)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", owner):
        return Spot("", text)
    if not path:
        raise UsageError("the path in the container is missing", where=text, todo="write it CONTAINER:PATH")
    return Spot(owner, path if path.startswith("/") else f"/{path}")


class Target(NamedTuple):
    """Put the source into this directory under this name; "" puts what a directory holds."""

    directory: str
    name: str


def target(source: Spot, source_kind: str, destination: Spot, kind: str, real: str) -> Target:
    """Where to; `real` is the destination's path without links. Raises NotFound, FailedPrecondition."""
    if source_kind == ABSENT:
        raise NotFound("there is no such file or directory", where=str(source))
    if source_kind == OTHER:
        raise FailedPrecondition("this is neither file nor directory", where=str(source))
    above = Target(os.path.dirname(real), os.path.basename(real))
    if source_kind == DIRECTORY:
        if kind == ABSENT:
            return above
        if kind != DIRECTORY:
            raise FailedPrecondition("a directory cannot replace a file", where=str(destination))
        return Target(real, "" if source.contents else source.name)
    if source.wants_directory:
        raise FailedPrecondition("this is no directory", where=str(source))
    if kind == DIRECTORY:
        return Target(real, source.name)
    if kind == ABSENT and destination.wants_directory:
        raise NotFound("there is no such directory", where=str(destination))
    if kind != ABSENT and destination.wants_directory:
        raise FailedPrecondition("this is no directory", where=str(destination))
    return above
