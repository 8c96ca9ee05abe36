"""The thresholds of a probe, without time and I/O (prober/worker.go)."""

from __future__ import annotations

import msgspec

from cricket.kubelet.model.probe import Probe


class Run(msgspec.Struct, frozen=True):
    """The results of a probe so far: what counts (`good`), and how often in a row the last result came."""

    good: bool
    last: bool = False
    times: int = 0
    decided: bool = False


def first(kind: str) -> Run:
    """Before the first result: alive, not ready, not started."""
    return Run(good=kind == "liveness")


def step(run: Run, result: bool, probe: Probe) -> Run:
    """After one more result. A result counts once it came as often as its threshold asks for."""
    times = run.times + 1 if run.times and run.last == result else 1
    needed = probe.success_threshold if result else probe.failure_threshold
    if times < needed:
        return msgspec.structs.replace(run, last=result, times=times)
    return Run(good=result, last=result, times=times, decided=True)
