"""Which of the pods that the sources want are to run: names are unique, and Jobs have limits. Without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.model.pod import Owner, Pod

OVER = ("Succeeded", "Failed")
"""The phases of a pod that has ended."""


def chosen(sources: Iterable[Desired], phases: Mapping[str, str]) -> list[Pod]:
    """The pods to run. The first source that wants a name has it. `phases` are those of the pods that exist, by key;
    a pod that exists stays, finished or not, as long as it is wanted."""
    pods: dict[str, Pod] = {}
    for source in sources:
        for pod in source.pods:
            pods.setdefault(pod.key, pod)
    jobs: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods.values():
        if pod.owner is not None and pod.owner.kind == "Job":
            jobs.setdefault((pod.metadata.namespace, pod.owner.name), []).append(pod)
    held = {pod.key for group in jobs.values() for pod in _held(group, phases)}
    return [pod for pod in pods.values() if pod.key not in held]


def _held(group: list[Pod], phases: Mapping[str, str]) -> list[Pod]:
    """The pods of a Job that have to wait: no more than `parallelism` work at a time, none after too many failures."""
    owner = group[0].owner or Owner("Job", "")
    running = sum(phases[pod.key] not in OVER for pod in group if pod.key in phases)
    failed = sum(phases.get(pod.key) == "Failed" for pod in group)
    room = 0 if failed > owner.backoff_limit else max(0, (owner.parallelism or len(group)) - running)
    return [pod for pod in group if pod.key not in phases][room:]
