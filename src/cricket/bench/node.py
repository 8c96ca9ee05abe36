"""The whole comparison: runtimes side by side, round after round, A B A B."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence

import msgspec

from cricket.bench import image, logs, measure
from cricket.bench.pull import COLD, WARM, pulls
from cricket.bench.registry import Shape, push, serve
from cricket.bench.report import Rounds
from cricket.bench.target import IMAGE, Target, containerd, cricket, parse
from cricket.errors import FailedPrecondition

Tell = Callable[[str], None]


class Plan(msgspec.Struct, frozen=True):
    """What to measure. `handlers` are those of Cricket; `against` names runtimes as `target.parse` reads them.

    With `warm` the first handler is measured a second time, with so many warm sandboxes.
    """

    pods: int = 40
    parallel: tuple[int, ...] = (1, 4, 16)
    rounds: int = 3
    idle: float = 10.0
    handlers: tuple[str, ...] = ("crun",)
    against: tuple[str, ...] = ()
    restarts: int = 0
    log_containers: tuple[int, ...] = ()
    pull_mib: int = 0
    warm: int = 0


def run(plan: Plan, tell: Tell) -> Rounds:
    """Measure; what was made is removed. Raises FailedPrecondition when not root or a runtime does not start."""
    if os.geteuid() != 0:
        raise FailedPrecondition("this benchmark starts runtimes and pods", todo="Run it as root.")
    results: Rounds = {}
    with tempfile.TemporaryDirectory(prefix="cricket-bench-", ignore_cleanup_errors=True) as base:
        os.chmod(base, 0o711)
        image.build(f"{base}/image", (IMAGE, "localhost/bench/pause:1"))
        subprocess.run(["tar", "-C", f"{base}/image", "-cf", f"{base}/image.tar", "."], check=True)
        with contextlib.ExitStack() as stack:
            targets = [stack.enter_context(cricket(f"{base}/c{i}", h, i)) for i, h in enumerate(plan.handlers)]
            if plan.warm:
                number = len(plan.handlers)
                daemon = cricket(f"{base}/c{number}", plan.handlers[0], number, warm=plan.warm)
                targets.append(stack.enter_context(daemon))
            targets += _others(stack, base, plan.against)
            if plan.pull_mib:
                tell("making the image to pull")
                shape = Shape(size=plan.pull_mib << 20)
                address = stack.enter_context(serve(base))
                push(address, COLD, shape)
                push(address, WARM, shape, changed_layers=1)
            for number in range(plan.rounds):
                for target in targets:
                    tell(f"round {number + 1} of {plan.rounds}: {target.name}")
                    figures = _round(plan, target, base, tell)
                    if plan.pull_mib:
                        tell("  pulls")
                        figures |= pulls(target, address, shape)
                    results.setdefault(target.name, []).append(figures)
    _remove_cgroups()
    return results


def _others(stack: contextlib.ExitStack, base: str, against: Sequence[str]) -> list[Target]:
    targets = []
    for word in against:
        if word == "containerd":
            targets.append(stack.enter_context(containerd(f"{base}/ctd")))
        else:
            name, endpoint, pattern = parse(word)
            targets.append(Target(name, endpoint, pattern))
    return targets


def _round(plan: Plan, target: Target, base: str, tell: Tell) -> measure.Figures:
    figures: measure.Figures = {}
    for parallel in plan.parallel:
        tell(f"  {plan.pods} pods, {parallel} at a time")
        figures |= measure.series(target, base, plan.pods, parallel, plan.idle if parallel == 1 else 0)
    for count in plan.log_containers:
        tell(f"  logs of {count} containers")
        figures |= logs.throughput(target, base, count)
    if plan.restarts:
        tell("  restarts of the daemon")
        figures |= measure.restart(target, base, plan.restarts)
    return figures


def _remove_cgroups() -> None:
    """The parents that the runtimes made for our pods."""
    for root, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if "/cricket-bench" in root:
            with contextlib.suppress(OSError):
                os.rmdir(root)
