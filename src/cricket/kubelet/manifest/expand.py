"""Workloads to pods: the template, a stable name, and what the controllers add to it.

Kubernetes gives the pods of a Deployment random names; here they are NAME-0, NAME-1, ..., as a StatefulSet's, so that a
restarted agent finds them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from msgspec.structs import replace

from cricket.kubelet.identity import pod_uid
from cricket.kubelet.model.base import ObjectMeta
from cricket.kubelet.model.env import EnvVar
from cricket.kubelet.model.objects import PersistentVolumeClaim
from cricket.kubelet.model.pod import Owner, Pod, PodSpec
from cricket.kubelet.model.volume import ClaimVolume, Volume
from cricket.kubelet.model.workload import DaemonSet, Deployment, Job, PodTemplate, StatefulSet

Workload = Deployment | DaemonSet | StatefulSet | Job


def expand(value: Workload, kind: str, namespace: str) -> Iterator[Pod]:
    """The pods, without uids; none of a suspended Job or for zero replicas."""
    match value:
        case Deployment():
            indices = range(value.spec.replicas)
        case DaemonSet():
            indices = range(1)
        case StatefulSet():
            first = value.spec.ordinals.start
            indices = range(first, first + value.spec.replicas)
        case Job():
            indices = range(0 if value.spec.suspend else _job_pods(value))
    for index in indices:
        owner = Owner(kind, value.metadata.name, index, len(indices))
        pod = _from_template(value.spec.template, value.metadata.name, namespace, owner)
        if isinstance(value, StatefulSet):
            pod = _stateful(value, pod, index)
        elif isinstance(value, Job):
            pod = _of_job(value, pod, index)
        yield pod


def claims(value: Workload, namespace: str) -> Iterator[PersistentVolumeClaim]:
    """The claims of a StatefulSet's pods."""
    if not isinstance(value, StatefulSet):
        return
    first = value.spec.ordinals.start
    for index in range(first, first + value.spec.replicas):
        for template in value.spec.volume_claim_templates:
            name = f"{template.metadata.name}-{value.metadata.name}-{index}"
            yield replace(template, metadata=replace(template.metadata, name=name, namespace=namespace))


def _job_pods(job: Job) -> int:
    return job.spec.parallelism if job.spec.completions is None else job.spec.completions


def _from_template(template: PodTemplate, name: str, namespace: str, owner: Owner) -> Pod:
    metadata = ObjectMeta(
        name=f"{name}-{owner.index}",
        namespace=namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
    )
    return Pod(metadata, template.spec, owner=owner)


def _stateful(value: StatefulSet, pod: Pod, index: int) -> Pod:
    labels = {
        **pod.metadata.labels,
        "statefulset.kubernetes.io/pod-name": pod.metadata.name,
        "apps.kubernetes.io/pod-index": str(index),
    }
    by_name = {volume.name: volume for volume in pod.spec.volumes}
    for claim in value.spec.volume_claim_templates:
        name = claim.metadata.name
        by_name[name] = Volume(name, persistent_volume_claim=ClaimVolume(f"{name}-{pod.metadata.name}"))
    spec = replace(
        pod.spec,
        volumes=tuple(by_name.values()),
        hostname=pod.metadata.name if len(pod.metadata.name) <= 63 and "." not in pod.metadata.name else "",
        subdomain=value.spec.service_name or pod.spec.subdomain,
    )
    ordered = value.spec.pod_management_policy == "OrderedReady"
    owner = replace(pod.owner or Owner("StatefulSet", value.metadata.name), ordered=ordered)
    return replace(pod, metadata=replace(pod.metadata, labels=labels), spec=spec, owner=owner)


def attempt(pod: Pod, number: int, node: str) -> Pod:
    """The pod of a Job that takes the place of one that failed, for the `number`th time; complete with its uid."""
    mark = hashlib.sha256(f"{pod.metadata.uid}/{number}".encode()).hexdigest()[:5]
    made = replace(pod, metadata=replace(pod.metadata, name=f"{pod.metadata.name}-{mark}"))
    return replace(made, metadata=replace(made.metadata, uid=pod_uid(made, node)))


def _of_job(job: Job, pod: Pod, index: int) -> Pod:
    labels = {**pod.metadata.labels, "batch.kubernetes.io/job-name": job.metadata.name, "job-name": job.metadata.name}
    owner = replace(
        pod.owner or Owner("Job", job.metadata.name),
        parallelism=job.spec.parallelism,
        backoff_limit=job.spec.backoff_limit,
        active_deadline_seconds=job.spec.active_deadline_seconds,
        completions=job.spec.completions,
        ttl_seconds=job.spec.ttl_seconds_after_finished,
    )
    annotations, spec = pod.metadata.annotations, pod.spec
    if job.spec.completion_mode == "Indexed":
        key = "batch.kubernetes.io/job-completion-index"
        labels[key] = str(index)
        annotations = {**annotations, key: str(index)}
        spec = _with_variable(spec, EnvVar("JOB_COMPLETION_INDEX", str(index)))
        spec = replace(spec, hostname=spec.hostname or pod.metadata.name)
    metadata = replace(pod.metadata, labels=labels, annotations=annotations)
    return replace(pod, metadata=metadata, spec=spec, owner=owner)


def _with_variable(spec: PodSpec, variable: EnvVar) -> PodSpec:
    return replace(
        spec,
        containers=tuple(replace(c, env=(*c.env, variable)) for c in spec.containers),
        init_containers=tuple(replace(c, env=(*c.env, variable)) for c in spec.init_containers),
    )
