"""The small files of a cgroup: cheap reads in which a missing or unreadable file is None, and their text forms.

A reading of 100 containers opens a thousand of these, so each function is a handful of calls and no more.
"""

from __future__ import annotations

import os

from cricket.types.stats import Psi, PsiLine

_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_open, _read, _close = os.open, os.read, os.close


def read(path: str) -> bytes | None:
    """The content, at most 64 KiB; None when the file is missing or its controller gives an error."""
    try:
        fd = _open(path, _FLAGS)
    except OSError:
        return None
    try:
        return _read(fd, 65536)
    except OSError:
        return None
    finally:
        _close(fd)


def read_all(path: str) -> bytes | None:
    """The content whatever its length (cgroup.procs of a large cgroup); None as with `read`."""
    try:
        with open(path, "rb", buffering=0) as f:
            return f.readall()
    except OSError:
        return None


def number(path: str) -> int | None:
    """A file that holds one number; None when missing, or when it says "max"."""
    data = read(path)
    try:
        return int(data) if data else None
    except ValueError:
        return None


def fields(path: str) -> dict[bytes, int] | None:
    """A file of "name number" lines; None when missing."""
    data = read(path)
    if data is None:
        return None
    words = data.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=False))


def psi(path: str) -> Psi | None:
    """A *.pressure file (Documentation/accounting/psi.rst); None when missing or when PSI is off."""
    data = read(path)
    if not data:
        return None
    lines = {kind: _psi_line(rest) for kind, _, rest in (line.partition(b" ") for line in data.splitlines())}
    nothing = PsiLine(0, 0.0, 0.0, 0.0)
    return Psi(some=lines.get(b"some", nothing), full=lines.get(b"full", nothing))


def _psi_line(text: bytes) -> PsiLine:
    values = dict(word.partition(b"=")[::2] for word in text.split())
    avg10, avg60, avg300 = (float(values.get(name, 0)) for name in (b"avg10", b"avg60", b"avg300"))
    return PsiLine(int(values.get(b"total", 0)), avg10, avg60, avg300)


def pids(directory: str) -> list[int] | None:
    """The processes of one cgroup, without those of cgroups below it; None when the cgroup is gone.

    A 0 stands for a process outside of our PID namespace and is left out; v1 may name a process twice.
    """
    data = read_all(directory + "/cgroup.procs")
    if data is None:
        return None
    found = set(map(int, data.split()))
    found.discard(0)
    return sorted(found)


def below(directory: str) -> list[str]:
    """The directories of all cgroups below this one, deepest first; empty when it is gone."""
    try:
        # A cgroup's link count is 2 and one for each child: most have none and are not listed at all.
        if os.stat(directory).st_nlink <= 2:
            return []
        with os.scandir(directory) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = []
    for child in children:
        found += below(child)
        found.append(child)
    return found


def pids_below(directory: str) -> list[int] | None:
    """The processes of a cgroup and of all cgroups below it; None when the cgroup is gone."""
    found = pids(directory)
    if found is None:
        return None
    nested = [pid for child in below(directory) for pid in pids(child) or ()]
    return sorted({*found, *nested}) if nested else found
