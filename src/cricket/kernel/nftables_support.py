"""Whether rules that `nftables` writes are rules that this host's iptables reads."""

from __future__ import annotations

import os
import re
import shutil
import time

from cricket.errors import CricketError
from cricket.kernel.nftables import IPV4, IPV6, Nftables

_PROGRAM = "xtables-nft-multi"
_OLDEST = (1, 8, 8)  # earlier ones do not know ports and marks as expressions of nf_tables
_VERSION = re.compile(rb"\0v?(\d+)\.(\d+)\.(\d+)(?: \(nf_tables\))?\0")
_TARGETS = ((IPV4, "MASQUERADE", 0), (IPV6, "MASQUERADE", 0), (IPV4, "DNAT", 2), (IPV6, "DNAT", 2))
_SECONDS = 10.0

_answer = (False, float("-inf"))  # and when it was found
_capable = False
_programs: dict[tuple[str, int, int], bool] = {}  # by file as it is on disk


def iptables_is_nft() -> bool:
    """Whether `iptables` and `ip6tables` are those on nf_tables, of 1.8.8 or later, and the kernel takes their rules.

    Then other users of iptables see our rules as their own. The answer is good for ten seconds; found in about 0.1 ms,
    or 1 ms the first time.
    """
    global _answer
    value, when = _answer
    now = time.monotonic()
    if now - when > _SECONDS:
        value = all(_speaks_nft(name) for name in ("iptables", "ip6tables")) and _kernel_can()
        _answer = value, now
    return value


def _speaks_nft(name: str) -> bool:
    path = shutil.which(name)
    if path is None:
        return False
    real = os.path.realpath(path)
    if os.path.basename(real) != _PROGRAM:
        return False
    try:
        info = os.stat(real)
        key = real, info.st_ino, info.st_mtime_ns
        if key not in _programs:
            with open(real, "rb") as f:
                _programs[key] = new_enough(f.read())
    except OSError:
        return False
    return _programs[key]


def new_enough(program: bytes) -> bool:
    """Whether the version that stands in the program file, which saves running it, is 1.8.8 or later."""
    found = [tuple(map(int, v)) for v in _VERSION.findall(program)]
    return bool(found) and max(found) >= _OLDEST


def _kernel_can() -> bool:
    """Once yes is always yes: nothing is asked again, as closing a socket may wait (see `nftables`)."""
    global _capable
    if _capable:
        return True
    try:
        with Nftables() as socket_:
            _capable = all(socket_.has_target(*target) for target in _TARGETS)
    except CricketError:
        pass
    return _capable
