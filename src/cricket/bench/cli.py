"""How long commands take to start: whole processes, from exec to exit."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

COMMANDS = (("--help",), ("version", "--help"), ("--version",))


def starts(endpoint: str, runs: int) -> list[tuple[str, float, float]]:
    """(command, fastest, median) in ms; with an endpoint also `ps`, which talks to it."""
    program = os.path.join(os.path.dirname(sys.executable), "cricket")
    commands = [*COMMANDS, *([("-r", endpoint, "ps")] if endpoint else [])]
    results = []
    for words in commands:
        times = []
        for _ in range(runs + 1):
            began = time.perf_counter()
            subprocess.run([program, *words], check=True, capture_output=True)
            times.append((time.perf_counter() - began) * 1000)
        shown = [word for word in words if word not in ("-r", endpoint)]
        results.append((" ".join(("cricket", *shown)), min(times[1:]), statistics.median(times[1:])))
    return results
