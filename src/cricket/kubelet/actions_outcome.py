"""Whether a pod is over, and how it ended."""

from __future__ import annotations

from cricket.kubelet.loop_records import SECOND, ContainerRecord, Records, State
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import Pod

DEADLINE = "DeadlineExceeded"
DEADLINE_WORDS = "Pod was active on the node longer than the specified deadline"


def restarts(pod: Pod, container: Container, dead: ContainerRecord | None) -> bool:
    """Whether a container that ended so is started again."""
    if dead is None or any(rule.matches(dead.exit_code) for rule in container.restart_policy_rules):
        return True
    policy = policy_of(pod, container)
    return policy == "Always" or (policy == "OnFailure" and dead.exit_code != 0)


def policy_of(pod: Pod, container: Container) -> str:
    """Always, OnFailure or Never: the container's own, or the pod's."""
    return container.restart_policy or pod.spec.restart_policy


def deadline(pod: Pod, started_at: int) -> int:
    """When the pod's time is up (Unix ns); 0: never."""
    limit = pod.spec.active_deadline_seconds
    return started_at + limit * SECOND if limit is not None and started_at else 0


def outcome(pod: Pod, records: Records, started_at: int, now: int) -> str:
    """ "Succeeded", "Failed", DEADLINE, or "" while the pod goes on."""
    natural = _ended(pod, records)
    limit = deadline(pod, started_at)
    if limit and now >= limit and (not natural or _last_end(records) > limit):
        return DEADLINE
    return natural


def _ended(pod: Pod, records: Records) -> str:
    mains = [(c, records.latest(c.name)) for c in pod.spec.containers]
    if not any(record for _, record in mains):
        for container in pod.spec.init_containers:
            record = records.latest(container.name)
            ended = record is not None and record.state is State.EXITED and record.exit_code
            if ended and not restarts(pod, container, record):
                return "Failed"
    dead = [r for c, r in mains if r is not None and r.state is State.EXITED and not restarts(pod, c, r)]
    if len(dead) < len(mains):
        # A sandbox that died takes a pod with it that may not be restarted.
        never = all(policy_of(pod, c) == "Never" and not c.restart_policy_rules for c in pod.spec.containers)
        lost = never and records.containers and not any(box.ready for box in records.sandboxes)
        return "Failed" if lost else ""
    return "Failed" if any(record.exit_code for record in dead) else "Succeeded"


def _last_end(records: Records) -> int:
    return max((record.finished_at for record in records.containers), default=0)
