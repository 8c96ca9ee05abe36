"""OCI hooks from directories of files, as oci-hooks(5) of containers/common has them (version 1.0.0)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cricket.errors import InvalidArgument, map_errors
from cricket.oci.inputs import JsonDict
from cricket.oci.listing import ListedFile, list_files

log = logging.getLogger(__name__)

_VERSION = "1.0.0"
# "prestart" is deprecated; containers/common runs such hooks as createRuntime.
_STAGES = {s: s for s in ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
_STAGES["prestart"] = "createRuntime"
_MAX_FILE = 1 << 20


class _Program(msgspec.Struct, frozen=True, omit_defaults=True):
    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: int | None = None


class _When(msgspec.Struct, frozen=True, rename="camel"):
    always: bool | None = None
    annotations: dict[str, str] = {}
    commands: list[str] = []
    has_bind_mounts: bool | None = None


class Hook(msgspec.Struct, frozen=True):
    """One file: what to run, when, and at which stages."""

    version: str
    hook: _Program
    when: _When
    stages: list[str]

    def matches(self, command: str, annotations: Mapping[str, str], has_bind_mounts: bool) -> bool:
        """Whether every condition that is there holds; a hook without conditions never runs.

        Each annotation condition needs an annotation whose key and value match; one of the commands must match.
        """
        when, seen = self.when, False
        for wanted, is_so in ((when.always, True), (when.has_bind_mounts, has_bind_mounts)):
            if wanted is not None:
                if not (wanted and is_so):
                    return False
                seen = True
        for key, value in when.annotations.items():
            if not any(re.search(key, k) and re.search(value, v) for k, v in annotations.items()):
                return False
            seen = True
        if when.commands:
            return any(re.search(pattern, command) for pattern in when.commands)
        return seen


def parse_hook(content: bytes, where: str) -> Hook:
    """A hook file. Raises InvalidArgument that names the file and what is wrong."""
    with map_errors((msgspec.MsgspecError, UnicodeDecodeError), InvalidArgument, "bad OCI hook", where=where):
        hook = msgspec.json.decode(content, type=Hook)
    if hook.version != _VERSION:
        raise InvalidArgument(f"hook version {hook.version[:20]!r} is not {_VERSION}", where=where)
    if not os.path.isabs(hook.hook.path):
        raise InvalidArgument("hook.path is not absolute", where=where)
    if not os.path.exists(hook.hook.path):
        raise InvalidArgument(f"there is no {hook.hook.path[:200]}", where=where)
    unknown = set(hook.stages) - set(_STAGES)
    if unknown:
        raise InvalidArgument(f"unknown stage {sorted(unknown)[0][:64]!r}", where=where)
    with map_errors(re.error, InvalidArgument, "bad pattern", where=where):
        for pattern in (*hook.when.annotations, *hook.when.annotations.values(), *hook.when.commands):
            re.compile(pattern)
    return hook


class HookDirectories:
    """The hooks of several directories; a file of a later one replaces the same-named of an earlier one.

    When a file has changed all are read anew. A broken one is logged, once for each change, and left out.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = tuple(directories)
        self._seen: list[ListedFile] | None = None
        self._hooks: dict[str, Hook] = {}

    def hooks(self) -> dict[str, Hook]:
        """Hooks by file name; blocks for a stat of each file, and for reading when one has changed."""
        listing = list_files(self.directories, (".json",))
        if listing != self._seen:
            self._seen, self._hooks = listing, _read(listing)
        return self._hooks

    def inject(self, spec: JsonDict, annotations: Mapping[str, str], has_bind_mounts: bool) -> list[str]:
        """Add the hooks that match to the spec, by file name without regard to case; returns the names."""
        command = spec["process"]["args"][0]
        added = []
        for name, hook in sorted(self.hooks().items(), key=lambda item: item[0].lower()):
            if hook.matches(command, annotations, has_bind_mounts):
                add_hook(spec, hook.stages, msgspec.to_builtins(hook.hook))
                added.append(name)
        return added


def add_hook(spec: JsonDict, stages: Sequence[str], program: Mapping[str, Any]) -> None:
    """Append a program to stages of the spec ("prestart" counts as createRuntime)."""
    entry = {k: v for k, v in program.items() if v is not None}
    for stage in dict.fromkeys(_STAGES[s] for s in stages):
        spec.setdefault("hooks", {}).setdefault(stage, []).append(entry)


def _read(listing: Sequence[ListedFile]) -> dict[str, Hook]:
    found: dict[str, Hook] = {}
    for file in listing:
        try:
            found[os.path.basename(file.path)] = parse_hook(file.read(_MAX_FILE), file.path)
        except InvalidArgument as e:
            log.warning("an OCI hook is left out: %s", e)
    return found
