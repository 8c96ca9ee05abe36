"""What a probe has found, kept for the next start: a probe takes longer than the rest of the start together.

It counts as long as nothing has changed that it depends on: the boot, the program, the runtime's binary, and what
decides about cgroups and checkpoints. Only a usable runtime is remembered: what is broken may be repaired at any time.
"""

from __future__ import annotations

import contextlib
import os
import shutil

import msgspec

from cricket import __version__
from cricket.errors import CricketError
from cricket.kernel.files import atomic_write, make_dir
from cricket.kernel.proc import boot_id
from cricket.oci.inputs import RuntimeFeatures
from cricket.oci.runtime import Runtime
from cricket.oci.runtime_probe import HYBRID, Probe


class _Entry(msgspec.Struct, frozen=True):
    depends: list[str]
    features: RuntimeFeatures


def load(path: str, runtime: Runtime, *places: str) -> Probe | None:
    """The remembered probe, None when there is none that still holds. `places` are the directories it was made in."""
    try:
        with open(path, "rb") as f:
            entry = msgspec.json.decode(f.read(), type=_Entry)
        if entry.depends != _depends(runtime, places):
            return None
    except (OSError, msgspec.MsgspecError, CricketError):
        return None
    return Probe(entry.features, usable=True)


def save(path: str, runtime: Runtime, probe: Probe, *places: str) -> None:
    """Remember a probe. Never raises a CricketError: then the next start probes again."""
    if not probe.usable:
        return
    with contextlib.suppress(CricketError, OSError):
        make_dir(os.path.dirname(path), 0o711)
        data = msgspec.json.encode(_Entry(_depends(runtime, places), probe.features))
        atomic_write(path, data, mode=0o600, durable=False)


def _depends(runtime: Runtime, places: tuple[str, ...]) -> list[str]:
    info = os.stat(runtime.binary)
    binary = f"{runtime.binary} {info.st_dev} {info.st_ino} {info.st_size} {info.st_mtime_ns} {info.st_ctime_ns}"
    devices = " ".join(f"{place} {os.stat(place).st_dev}" for place in places)
    settings = " ".join(runtime.global_args)
    return [__version__, boot_id(), binary, settings, devices, shutil.which("criu") or "", _hybrid()]


def _hybrid() -> str:
    with contextlib.suppress(OSError), open(HYBRID, encoding="ascii") as f:
        return f.read()
    return ""
