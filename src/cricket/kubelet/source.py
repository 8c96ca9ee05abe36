"""Where manifests come from: each source tells what it wants, again whenever that changes.

A source that fails (a file that is half written, a server that is away) keeps what it wanted before: pods are not ended
by an accident.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from cricket.errors import InvalidArgument
from cricket.kubelet.manifest.desired import Desired, Problem
from cricket.kubelet.manifest.load import load

Offer = Callable[[str, tuple[Desired, ...]], None]
"""Called with the source's name and all that it wants now."""
Source = Callable[[Offer], Awaitable[None]]

PERIOD = 1.0
URL_PERIOD = 20.0
_SUFFIXES = (".yaml", ".yml", ".json")


def source(name: str, node: str) -> Source:
    """The source that a word of the command line means: `-`, a URL, a folder or a file. Raises InvalidArgument."""
    if name == "-":
        return Once(name, node).run
    if name.startswith(("http://", "https://")):
        from cricket.kubelet.source_url import UrlSource

        return UrlSource(name, node).run
    if "://" in name:
        raise InvalidArgument("manifests come from folders, files, - and http(s) URLs", where=name)
    return FileSource(os.path.abspath(name), node).run


class Once:
    """Standard input: read to its end, once."""

    def __init__(self, name: str, node: str) -> None:
        self._name, self._node = name, node

    async def run(self, offer: Offer) -> None:
        """Tell it, then end."""
        text = await asyncio.to_thread(sys.stdin.buffer.read)
        offer(self._name, (await asyncio.to_thread(load, text, "stdin", self._node),))


class FileSource:
    """A file, or a folder whose files (*.yaml, *.yml, *.json, not hidden) are looked at every PERIOD seconds."""

    def __init__(self, path: str, node: str, period: float = PERIOD) -> None:
        self._path, self._node, self._period = path, node, period
        self._loaded: dict[str, tuple[object, Desired]] = {}

    async def run(self, offer: Offer) -> None:
        """Tell what is wanted, whenever a file has changed; never ends."""
        first = True
        while True:
            changed = await asyncio.to_thread(self.scan)
            if changed or first:
                offer(self._path, tuple(desired for _, desired in self._loaded.values()))
            first = False
            await asyncio.sleep(self._period)

    def scan(self) -> bool:
        """Read the files that have changed since the last look; whether any had. A file that went away wants nothing;
        one that cannot be read or parsed wants what it wanted before."""
        found = self._files()
        if found is None:
            return False
        changed = bool(set(self._loaded) - set(found))
        self._loaded = {path: kept for path, kept in self._loaded.items() if path in found}
        for path, stamp in sorted(found.items()):
            old = self._loaded.get(path)
            if old is not None and old[0] == stamp:
                continue
            self._loaded[path] = stamp, self._load(path, old[1] if old is not None else None)
            changed = True
        return changed

    def _files(self) -> dict[str, object] | None:
        """Stamps by path; None when the folder cannot be looked at."""
        try:
            if not os.path.isdir(self._path):
                return {self._path: _stamp(os.stat(self._path))}
            with os.scandir(self._path) as entries:
                named = [e for e in entries if e.name.endswith(_SUFFIXES) and not e.name.startswith(".")]
                return {entry.path: _stamp(entry.stat()) for entry in named if entry.is_file()}
        except FileNotFoundError:
            return {}
        except OSError:
            return None

    def _load(self, path: str, before: Desired | None) -> Desired:
        try:
            with open(path, "rb") as file:
                desired = load(file.read(), path, self._node)
        except OSError as error:
            problem = Problem(path, 0, "", f"cannot be read: {(error.strerror or str(error)).lower()}")
            desired = Desired(path, errors=(problem,))
        return keeping(desired, before)


def keeping(desired: Desired, before: Desired | None) -> Desired:
    """What a manifest with mistakes means: its good objects, and of those that it had before the ones that are missing
    now, as nobody can tell whether they were taken out or are what is wrong. One without mistakes replaces it."""
    if before is None or not desired.errors:
        return desired
    return msgspec.structs.replace(
        desired,
        pods=_both(desired.pods, before.pods),
        config_maps=_both(desired.config_maps, before.config_maps),
        secrets=_both(desired.secrets, before.secrets),
        claims=_both(desired.claims, before.claims),
    )


def _both(now: tuple[Any, ...], before: tuple[Any, ...]) -> tuple[Any, ...]:
    have = {value.metadata.key for value in now}
    return (*now, *(value for value in before if value.metadata.key not in have))


def _stamp(stat: os.stat_result) -> object:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
