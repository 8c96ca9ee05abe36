"""Which of the pods that the sources want are to run: names are unique, Jobs have limits, StatefulSets an order.
Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from cricket.kubelet.job_decide import OVER, Again, JobState, Seen, decide_job
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.model.pod import Pod

__all__ = ["OVER", "Choice", "chosen", "goes_later"]


class Choice(msgspec.Struct, frozen=True):
    """The pods to run; the states of Jobs by namespace/name; when to choose again (Unix ns; 0: at the next change)."""

    pods: tuple[Pod, ...] = ()
    jobs: Mapping[str, JobState] = {}
    wake_at: int = 0


def chosen(
    sources: Iterable[Desired],
    seen: Mapping[str, Seen],
    state: Callable[[str], JobState],
    now: int,
    again: Again,
) -> Choice:
    """The first source that wants a name has it. `seen` are the pods that exist, by uid; a pod that exists stays,
    finished or not, as long as it is wanted. `state` tells what is remembered of a Job."""
    pods: dict[str, Pod] = {}
    for source in sources:
        for pod in source.pods:
            pods.setdefault(pod.key, pod)
    alone = [pod for pod in pods.values() if pod.owner is None or pod.owner.kind not in ("Job", "StatefulSet")]
    wanted, jobs, wakes = list(alone), dict[str, JobState](), list[int]()
    for key, group in _groups(pods.values(), "Job").items():
        decision = decide_job(group, seen, state(key), now, again)
        wanted += decision.pods
        jobs[key] = decision.state
        wakes.append(decision.wake_at)
    for group in _groups(pods.values(), "StatefulSet").values():
        wanted += _in_order(group, seen)
    return Choice(tuple(wanted), jobs, min(filter(None, wakes), default=0))


def goes_later(pod: Pod, others: Iterable[Pod], wanted: Iterable[Pod]) -> bool:
    """Whether a pod that is not wanted any more has to wait with its end: of an ordered StatefulSet that becomes
    smaller the last one goes first. `others` are the pods that are there."""
    owner = pod.owner
    if owner is None or not owner.ordered or not any(_same(pod, other) for other in wanted):
        return False
    return any(_same(pod, other) and other.owner is not None and other.owner.index > owner.index for other in others)


def _groups(pods: Iterable[Pod], kind: str) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.owner is not None and pod.owner.kind == kind:
            found.setdefault(f"{pod.metadata.namespace}/{pod.owner.name}", []).append(pod)
    return found


def _in_order(group: list[Pod], seen: Mapping[str, Seen]) -> list[Pod]:
    """What is there stays; of the others the first one whose predecessors are all ready."""
    wanted, ready = list[Pod](), True
    for pod in sorted(group, key=lambda pod: pod.owner.index if pod.owner else 0):
        there = seen.get(pod.metadata.uid)
        if there is not None or ready or not (pod.owner and pod.owner.ordered):
            wanted.append(pod)
        ready = ready and there is not None and there.ready
    return wanted


def _same(one: Pod, other: Pod) -> bool:
    if one.owner is None or other.owner is None or one.metadata.namespace != other.metadata.namespace:
        return False
    return (one.owner.kind, one.owner.name) == (other.owner.kind, other.owner.name)
