"""Change all files of a directory at once (kubelet pkg/volume/util/atomic_writer.go).

The files lie in a directory `..TIME.RANDOM`; `..data` is a symlink to it, and each visible name a symlink into
`..data`. Renaming a new `..data` over the old one changes everything in one step; a reader that follows `..data` once
never sees a mixture.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time

from cricket.kubelet.volumes.payload import Payload

_DATA = "..data"


def write(directory: str, payload: Payload, group: int | None = None) -> bool:
    """Make the directory hold exactly these files, owned by `group` when given; false when it already did. The
    directory has to exist, its paths have to be relative and without "..". Idempotent, also after a crash at any point.
    Raises OSError."""
    old = _current(directory)
    unchanged = old is not None and _holds(f"{directory}/{old}", payload, group)
    if unchanged:
        _link(directory, payload)
        _remove_stale(directory, payload, old or "")
        return False
    fresh = f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{secrets.randbelow(1 << 32)}"
    os.mkdir(f"{directory}/{fresh}", 0o755)
    _fill(f"{directory}/{fresh}", payload, group)
    temporary = f"{directory}/{_DATA}_tmp"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(fresh, temporary)
    os.rename(temporary, f"{directory}/{_DATA}")
    _link(directory, payload)
    _remove_stale(directory, payload, fresh)
    return True


def _current(directory: str) -> str | None:
    try:
        current = os.readlink(f"{directory}/{_DATA}")
    except FileNotFoundError:
        return None
    return current if os.path.isdir(f"{directory}/{current}") else None


def _mode(mode: int, group: int | None) -> int:
    """A group that owns the files has to be able to read them, as the kubelet has it for read-only volumes."""
    return mode if group is None else mode | 0o440


def _holds(directory: str, payload: Payload, group: int | None) -> bool:
    found = {
        os.path.relpath(os.path.join(parent, name), directory)
        for parent, _, names in os.walk(directory)
        for name in names
    }
    if found != {os.path.normpath(path) for path in payload}:
        return False
    for path, (content, mode) in payload.items():
        with open(f"{directory}/{path}", "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o7777 != _mode(mode, group) or file.read() != content:
                return False
            if group is not None and status.st_gid != group:
                return False
    return True


def _fill(directory: str, payload: Payload, group: int | None) -> None:
    made = [directory]
    for path, (content, mode) in payload.items():
        target = f"{directory}/{path}"
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            if group is not None:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, _mode(mode, group))
    for parent, names, _ in os.walk(directory):
        made += [os.path.join(parent, name) for name in names]
    for path in made:
        # Whatever the umask is.
        os.chmod(path, 0o755)
        if group is not None:
            os.chown(path, -1, group)
            os.chmod(path, 0o2755)


def _tops(payload: Payload) -> set[str]:
    return {os.path.normpath(path).split("/", 1)[0] for path in payload}


def _link(directory: str, payload: Payload) -> None:
    for name in _tops(payload):
        if not os.path.lexists(f"{directory}/{name}"):
            os.symlink(f"{_DATA}/{name}", f"{directory}/{name}")


def _remove_stale(directory: str, payload: Payload, current: str) -> None:
    """Names that are gone, the last generation, and what a crash left."""
    keep = {*_tops(payload), _DATA, current}
    with os.scandir(directory) as entries:
        stale = [entry for entry in entries if entry.name not in keep]
    for entry in stale:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
