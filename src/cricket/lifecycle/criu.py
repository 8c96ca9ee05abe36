"""CRIU as seen through its log, its images and its configuration file.

Runtimes drive CRIU themselves; what they pass on of its complaints is the path of a log file. Sources: criu(8),
CRIU's images/utsns.proto; runc's man page runc-restore(8) for the annotation.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

from cricket.errors import CricketError, DataLoss, Internal, Unimplemented, map_errors
from cricket.kernel.files import atomic_write
from cricket.kernel.process import run

CONFIG_ANNOTATION = "org.criu.config"
"""Names the file with more options for CRIU; runc and crun read it from the spec."""

_ADMIN_CONFIG = "/etc/criu/runc.conf"
_CHECK_TIMEOUT = 20.0
_TAIL = 1 << 16
# CRIU goes on without: it only means that a process with very many files could not be handled.
_HARMLESS = "RLIMIT_NOFILE"


def complaints(log: str) -> str:
    """The last errors in a log of CRIU, "" when there is no such log or no error."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "; ".join([_plain(line) for line in lines if "Error (" in line and _HARMLESS not in line][-3:])


def _plain(line: str) -> str:
    """Without time stamp and source position: "(00.1) Error (criu/vdso.c:381): vdso: bad" -> "vdso: bad"."""
    return line.partition("Error (")[2].partition("): ")[2].strip() or line.strip()


async def explain(error: Internal, log: str) -> NoReturn:
    """Raise a runtime's error again, with CRIU's own words.

    As Unimplemented when CRIU says that it cannot work on this kernel at all.
    """
    said = complaints(log)
    if said:
        error = Internal(f"{error.what.splitlines()[0]}; CRIU: {said}", where=error.where)
    if problem := await _kernel_problem():
        raise Unimplemented(problem, todo="A newer CRIU in the daemon's PATH may know this kernel.") from error
    raise error


async def _kernel_problem() -> str:
    """Why CRIU cannot work here, "" when its own check is content."""
    path = shutil.which("criu")
    if path is None:
        return "CRIU (criu) is not installed"
    try:
        check = await run([path, "check"], timeout=_CHECK_TIMEOUT)
        if check.code == 0:
            return ""
        version = await run([path, "--version"], timeout=_CHECK_TIMEOUT)
    except CricketError as e:
        return str(e)
    number = version.stdout.decode("utf-8", "replace").partition("Version:")[2].split("\n")[0].strip() or "?"
    errors = [line for line in (check.stdout + check.stderr).decode("utf-8", "replace").splitlines() if "Error" in line]
    why = _plain(errors[0]) if errors else f"criu check exits with {check.code}"
    return f"CRIU {number} ({path}) does not work on Linux {os.uname().release}: {why}"


def write_config(path: str, uts: str, *, cgroup_version: int) -> None:
    """Write the options for a restore: connections of the old pod are closed, `uts` ("" for none) is joined.

    On cgroup v2 processes stay in the cgroup that they are started in, which is the new container's: CRIU would put
    them back into the old one's. On v1 runtimes tell it where they belong, which this would undo.
    What the administrator has set for runc stays in force. Raises Internal.
    """
    lines = []
    try:
        with open(_ADMIN_CONFIG, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        pass  # there is rarely one
    lines.append("tcp-close")
    if cgroup_version == 2:
        lines.append("manage-cgroups=ignore")  # its argument is an optional one
    if uts:
        lines.append(f"join-ns uts:{uts}")
    atomic_write(path, "\n".join([*lines, ""]).encode(), mode=0o600, durable=False)


_HEADER = 12  # two magic numbers, and the size of the one message
_NODENAME, _DOMAINNAME = 0x0A, 0x12  # protobuf tags of the fields 1 and 2, both strings


def set_hostname(images: str, hostname: str) -> bool:
    """Make CRIU restore this host name; false when the checkpoint does not hold exactly one UTS namespace.

    Needed because CRIU writes the name into the UTS namespace that it joins. Raises DataLoss, Internal.
    """
    found = [os.path.join(images, name) for name in os.listdir(images) if name.startswith("utsns-")]
    if len(found) != 1 or not 0 < len(hostname.encode()) <= 64:
        return False
    what = "CRIU's image of the UTS namespace cannot be read"
    with map_errors(OSError, Internal, what, where=found[0]), open(found[0], "rb") as file:
        data = file.read(4096)
    name = hostname.encode()
    message = bytes([_NODENAME, len(name)]) + name + bytes([_DOMAINNAME]) + _domain(data[_HEADER:], found[0])
    atomic_write(found[0], data[:8] + len(message).to_bytes(4, "little") + message, mode=0o600, durable=False)
    return True


def _domain(message: bytes, where: str) -> bytes:
    """The second field of the message, with its length before it."""
    skip = 2 + message[1] if len(message) > 2 and message[0] == _NODENAME else len(message)
    rest = message[skip:]
    if len(rest) < 2 or rest[0] != _DOMAINNAME or len(rest) != 2 + rest[1]:
        raise DataLoss("CRIU's image of the UTS namespace is malformed", where=where)
    return rest[1:]
