"""What the tuning plugin changed: `<dataDir>/<container>_<interface>.json`, as the standard plugin writes it."""

from __future__ import annotations

import os

import msgspec

from cricket.errors import Internal, map_errors
from cricket.kernel.files import remove_file
from cricket.network.builtin.base import Call

DATA_DIR = "/run/cni/tuning"


class Backup(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings before; those that stayed are at their defaults."""

    mac: str = ""
    promisc: bool | None = None
    mtu: int = 0
    allmulti: bool | None = None
    txQLen: int | None = None


def write(call: Call, data_dir: str, backup: Backup) -> None:
    """Keep it. Raises Internal."""
    path = _path(call, data_dir)
    data = msgspec.json.format(msgspec.json.encode(backup), indent=1)
    with map_errors(OSError, Internal, "cannot keep the settings of the interface", where=path):
        os.makedirs(data_dir, 0o600, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as f:
            f.write(data)


def read(call: Call, data_dir: str) -> Backup | None:
    """What was kept, None when nothing was or it cannot be read."""
    try:
        with open(_path(call, data_dir), "rb") as f:
            return msgspec.json.decode(f.read(), type=Backup)
    except (OSError, msgspec.MsgspecError):
        return None


def remove(call: Call, data_dir: str) -> None:
    """Forget it. Idempotent."""
    remove_file(_path(call, data_dir))


def _path(call: Call, data_dir: str) -> str:
    return os.path.join(data_dir, f"{call.attachment.container_id}_{call.attachment.ifname}.json")
