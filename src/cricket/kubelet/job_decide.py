"""Which pods of a Job are to be there now: the job controller's rules (controller/job) for one node. Without I/O.

A pod that failed stays and another takes its place, with a name of its own, after a wait of 10 s, 20 s, ... 10 min. Too
many failures or too long a time end the Job, and with it the pods that still run. Times are Unix nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.model.pod import Owner, Pod

FIRST, MOST = 10 * SECOND, 600 * SECOND
OVER = ("Succeeded", "Failed")
"""The phases of a pod that has ended."""


class Seen(msgspec.Struct, frozen=True):
    """What is to be known of a pod that exists. `restarts` of all its containers."""

    phase: str = "Pending"
    ready: bool = False
    started_at: int = 0
    ended_at: int = 0
    restarts: int = 0


class JobState(msgspec.Struct, frozen=True):
    """What has to be remembered of a Job, as its pods may be gone. `identity` is the uid of its first pod: another one
    is another Job. `condition` is "", Complete or Failed."""

    identity: str = ""
    started_at: int = 0
    ended_at: int = 0
    condition: str = ""
    reason: str = ""
    message: str = ""


class Decision(msgspec.Struct, frozen=True):
    """The pods that are wanted, the Job's state, and when to ask again (0: when a pod has changed)."""

    pods: tuple[Pod, ...]
    state: JobState
    wake_at: int = 0


Again = Callable[[Pod, int], Pod]
"""The pod that takes the place of one that failed: from the manifest's pod and the number of the attempt, from 1."""


def decide_job(group: Sequence[Pod], seen: Mapping[str, Seen], before: JobState, now: int, again: Again) -> Decision:
    """What to do about a Job. `group` are the manifest's pods, `seen` those that exist, by uid."""
    base = sorted(group, key=lambda pod: pod.owner.index if pod.owner else 0)
    owner = base[0].owner or Owner("Job", "")
    slots = [tuple(_attempts(pod, seen, owner, again)) for pod in base]
    known = [(pod, seen[pod.metadata.uid]) for slot in slots for pod in slot if pod.metadata.uid in seen]
    identity = base[0].metadata.uid
    state = before if before.identity == identity else JobState(identity, now)
    state = msgspec.structs.replace(state, started_at=min([state.started_at, *_starts(known)]))
    if not state.condition:
        state = _concluded(state, owner, slots, seen, now)
    if state.condition:
        return _after_its_end(state, owner, known, now)
    return _going_on(state, owner, slots, seen, now)


def _attempts(pod: Pod, seen: Mapping[str, Seen], owner: Owner, again: Again) -> Iterator[Pod]:
    """The pods of one place, in order: those that are there, and the next one unless the last is good."""
    for attempt in range(owner.backoff_limit + 2):
        made = again(pod, attempt) if attempt else pod
        yield made
        if made.metadata.uid not in seen or seen[made.metadata.uid].phase != "Failed":
            return


def _starts(known: Sequence[tuple[Pod, Seen]]) -> Iterator[int]:
    return (of.started_at for _, of in known if of.started_at)


def _concluded(
    state: JobState, owner: Owner, slots: Sequence[tuple[Pod, ...]], seen: Mapping[str, Seen], now: int
) -> JobState:
    """The state, with its end if it has come."""
    known = [seen[pod.metadata.uid] for slot in slots for pod in slot if pod.metadata.uid in seen]
    good = [
        slot
        for slot in slots
        if any(pod.metadata.uid in seen and seen[pod.metadata.uid].phase == "Succeeded" for pod in slot)
    ]
    active = [of for of in known if of.phase not in OVER]
    restarts = sum(of.restarts for of in active) if slots[0][0].spec.restart_policy == "OnFailure" else 0
    if sum(of.phase == "Failed" for of in known) > owner.backoff_limit or restarts > max(owner.backoff_limit - 1, 0):
        return _ended(state, now, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    limit = owner.active_deadline_seconds
    if limit is not None and now >= state.started_at + limit * SECOND:
        return _ended(state, now, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if len(good) == len(slots) if owner.completions is not None else good and not active:
        return _ended(state, now, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
    return state


def _ended(state: JobState, now: int, condition: str, reason: str, message: str) -> JobState:
    return msgspec.structs.replace(state, ended_at=now, condition=condition, reason=reason, message=message)


def _after_its_end(state: JobState, owner: Owner, known: Sequence[tuple[Pod, Seen]], now: int) -> Decision:
    """What has ended stays to be looked at, until its time is over."""
    kept = tuple(pod for pod, of in known if of.phase in OVER)
    if owner.ttl_seconds is None:
        return Decision(kept, state)
    over = state.ended_at + owner.ttl_seconds * SECOND
    return Decision((), state) if now >= over else Decision(kept, state, over)


def _going_on(
    state: JobState, owner: Owner, slots: Sequence[tuple[Pod, ...]], seen: Mapping[str, Seen], now: int
) -> Decision:
    kept = [pod for slot in slots for pod in slot if pod.metadata.uid in seen]
    active = sum(seen[pod.metadata.uid].phase not in OVER for pod in kept)
    succeeded = any(seen[pod.metadata.uid].phase == "Succeeded" for pod in kept)
    new = [slot[-1] for slot in slots if slot[-1].metadata.uid not in seen]
    if owner.completions is None and succeeded:
        new = []  # the work is done, as one of them has said; the others come to their end
    at = _held_until([seen[pod.metadata.uid] for pod in kept])
    room = max(0, owner.parallelism - active)
    started = new[:room] if now >= at else []
    wakes = [at] if new and room and now < at else []
    if owner.active_deadline_seconds is not None:
        wakes.append(state.started_at + owner.active_deadline_seconds * SECOND)
    return Decision((*kept, *started), state, min(wakes, default=0))


def _held_until(known: Sequence[Seen]) -> int:
    """When pods may be made again after the failures since the last success."""
    good = max((of.ended_at for of in known if of.phase == "Succeeded"), default=0)
    failures = [of.ended_at for of in known if of.phase == "Failed" and of.ended_at > good]
    return max(failures) + min(FIRST << (len(failures) - 1), MOST) if failures else 0
