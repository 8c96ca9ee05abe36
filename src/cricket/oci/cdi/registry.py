"""The CDI devices of a node: the spec files of some directories, read when they change."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci.cdi.edits import apply_edits
from cricket.oci.cdi.model import CdiDevice, CdiSpec, parse
from cricket.oci.inputs import JsonDict
from cricket.oci.listing import ListedFile, list_files

log = logging.getLogger(__name__)

_MAX_FILE = 16 << 20


class _Entry(msgspec.Struct, frozen=True):
    device: CdiDevice
    spec: CdiSpec
    file: ListedFile


class Registry:
    """Devices by qualified name. A later directory overrides an earlier one; two files of one directory conflict.

    A broken file is logged once for each change and left out; a conflicting device cannot be used.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = tuple(directories)
        self._seen: list[ListedFile] | None = None
        self._parsed: dict[ListedFile, CdiSpec | None] = {}
        self._devices: dict[str, _Entry] = {}
        self._conflicts: dict[str, str] = {}

    def names(self) -> list[str]:
        """Every device that can be used, sorted; blocks while files are read."""
        self._refresh()
        return sorted(self._devices)

    def inject(self, spec: JsonDict, names: Sequence[str]) -> None:
        """Apply the edits of devices (qualified names) to a container's spec; blocks for reading files and a few stats.

        The edits that a file has for all of its devices are applied once, before those of its first one. Raises
        FailedPrecondition that names every device that is unknown or conflicting; then the spec is unchanged.
        """
        if not names:
            return
        self._refresh()
        missing = [n for n in names if n not in self._devices]
        if missing:
            reasons = [f"{n} ({self._conflicts.get(n, 'unknown')})" for n in missing]
            raise FailedPrecondition(
                f"CDI devices cannot be resolved: {', '.join(reasons)}", where=", ".join(self.directories)
            )
        edits, files = [], set()
        for name in names:
            entry = self._devices[name]
            if entry.file.path not in files:
                files.add(entry.file.path)
                edits.append(entry.spec.container_edits)
            edits.append(entry.device.container_edits)
        changed: JsonDict = msgspec.json.decode(msgspec.json.encode(spec))
        for edit in edits:
            apply_edits(changed, edit)
        spec.clear()
        spec.update(changed)

    def _refresh(self) -> None:
        listing = list_files(self.directories, (".json", ".yaml"))
        if listing == self._seen:
            return
        self._parsed = {f: self._parsed[f] if f in self._parsed else _load(f) for f in listing}
        self._seen, self._devices, self._conflicts = listing, {}, {}
        for file, spec in self._parsed.items():
            if spec is not None:
                for device in spec.devices:
                    self._add(f"{spec.kind}={device.name}", _Entry(device, spec, file))
        for name in self._conflicts:
            self._devices.pop(name, None)

    def _add(self, name: str, entry: _Entry) -> None:
        other = self._devices.get(name)
        if other is not None and other.file.directory == entry.file.directory:
            self._conflicts[name] = f"both {other.file.path} and {entry.file.path} have it"
        else:
            self._conflicts.pop(name, None)
        self._devices[name] = entry


def _load(file: ListedFile) -> CdiSpec | None:
    try:
        return parse(file.read(_MAX_FILE), file.path)
    except InvalidArgument as e:
        log.warning("a CDI spec is left out: %s", e)
        return None
