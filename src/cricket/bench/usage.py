"""What a runtime's processes use: CPU time with that of their finished children, and proportional memory (PSS)."""

from __future__ import annotations

import contextlib
import os
import re

_TICKS = os.sysconf("SC_CLK_TCK")


def processes(pattern: str) -> list[int]:
    """Pids whose command line matches the regular expression; our own is left out."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as f:
                words = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
                if words and re.search(pattern, words):
                    found.append(int(name))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of the processes and of the children that they have reaped."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def pss_mib(pids: list[int]) -> float:
    """Proportional set size of the processes in MiB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total / 1024


def node_cpu_seconds() -> float:
    """Busy CPU time of the whole machine since boot."""
    with open("/proc/stat") as f:
        fields = [int(word) for word in f.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS
