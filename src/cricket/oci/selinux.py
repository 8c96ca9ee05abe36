"""SELinux labels of containers and volumes, on hosts where SELinux is active (contexts: see container_selinux(8))."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os

from cricket.errors import Internal, InvalidArgument, map_errors
from cricket.oci import check
from cricket.oci.inputs import SelinuxLabels
from cricket.types.security import SELinux

_CONTEXTS = "/etc/selinux/targeted/contexts/lxc_contexts"
_PROCESS = "system_u:system_r:container_t:s0"
_FILE = "system_u:object_r:container_file_t:s0"
_UNCONFINED_TYPE = "spc_t"
_CATEGORIES = 1024
# Relabelling these would break the host.
_PROTECTED = frozenset(
    ["/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp"]
    + ["/usr", "/var", "/var/lib"]
)


def labels(options: SELinux | None, sandbox_id: str, *, privileged: bool, contexts: str = _CONTEXTS) -> SelinuxLabels:
    """The labels of a container from its (else its sandbox's) options.

    Unset fields come from the policy's lxc_contexts. Without a level, all containers of a sandbox share a pair of
    categories derived from its id, so that pods cannot read each other's files. Privileged ones run as spc_t. Raises
    InvalidArgument.
    """
    process, file = _defaults(contexts)
    asked = options or SELinux()
    for field in ("user", "role", "type", "level"):
        value = getattr(asked, field)
        if any(c.isspace() or c == "\0" for c in value) or (field != "level" and ":" in value):
            raise InvalidArgument(f"{value[:64]!r} cannot be part of a label", where=f"selinux_options.{field}")
    level = asked.level or f"s0:{_categories(sandbox_id)}"
    kind = asked.type or (_UNCONFINED_TYPE if privileged else process[2])
    return SelinuxLabels(
        process=":".join([asked.user or process[0], asked.role or process[1], kind, level]),
        mount=":".join([file[0], file[1], file[2], level]),
    )


def _defaults(path: str) -> tuple[list[str], list[str]]:
    found = {}
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as f:
        for line in f:
            key, equals, value = line.partition("=")
            if equals:
                found[key.strip()] = value.strip().strip('"')
    process, file = found.get("process", _PROCESS).split(":", 3), found.get("file", _FILE).split(":", 3)
    return (process if len(process) == 4 else _PROCESS.split(":")), (file if len(file) == 4 else _FILE.split(":"))


def _categories(sandbox_id: str) -> str:
    number = int.from_bytes(hashlib.sha256(sandbox_id.encode()).digest()[:8], "big")
    first = number % _CATEGORIES
    second = (first + 1 + number // _CATEGORIES % (_CATEGORIES - 1)) % _CATEGORIES
    return f"c{min(first, second)},c{max(first, second)}"


def relabel(path: str, label: str, *, attribute: str = "security.selinux") -> None:
    """Label `path` and everything below it, following no symlink; blocks. Idempotent.

    A file system without labels is left alone. Raises InvalidArgument for directories of the system, Internal.
    """
    clean = check.absolute_path(path, "mounts.host_path")
    if clean in _PROTECTED:
        raise InvalidArgument("relabelling this directory would break the host", where=clean)
    value = label.encode()
    with map_errors(OSError, Internal, "cannot set the SELinux label", where=clean):
        try:
            _label(clean, value, attribute)
        except OSError as e:
            if e.errno in (errno.ENOTSUP, errno.EROFS):
                return
            raise
        for parent, directories, files in os.walk(clean):
            for name in directories + files:
                with contextlib.suppress(FileNotFoundError):
                    _label(os.path.join(parent, name), value, attribute)


def _label(path: str, value: bytes, attribute: str) -> None:
    """Set it unless it is there: an unchanged label keeps the ctime and the page cache."""
    with contextlib.suppress(OSError):
        if os.getxattr(path, attribute, follow_symlinks=False).rstrip(b"\0") == value:
            return
    os.setxattr(path, attribute, value, follow_symlinks=False)
