"""Workloads: a pod template and how many of it."""

from __future__ import annotations

from cricket.kubelet.model.base import KubeStruct, ObjectMeta
from cricket.kubelet.model.objects import PersistentVolumeClaim
from cricket.kubelet.model.pod import PodSpec


class PodTemplate(KubeStruct, frozen=True):
    """The pod to make."""

    spec: PodSpec
    metadata: ObjectMeta = ObjectMeta()


class LabelExpression(KubeStruct, frozen=True):
    """In, NotIn, Exists, DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(KubeStruct, frozen=True):
    """It has to select the template."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelExpression, ...] = ()


class DeploymentSpec(KubeStruct, frozen=True):
    """Also a ReplicaSet's."""

    template: PodTemplate
    selector: LabelSelector | None = None
    replicas: int = 1
    paused: bool = False


class Deployment(KubeStruct, frozen=True):
    """apps/v1 Deployment, and ReplicaSet."""

    metadata: ObjectMeta
    spec: DeploymentSpec


class DaemonSetSpec(KubeStruct, frozen=True):
    """One on each node, so one."""

    template: PodTemplate
    selector: LabelSelector | None = None


class DaemonSet(KubeStruct, frozen=True):
    """apps/v1 DaemonSet."""

    metadata: ObjectMeta
    spec: DaemonSetSpec


class Ordinals(KubeStruct, frozen=True):
    """Where a StatefulSet begins to count."""

    start: int = 0


class StatefulSetSpec(KubeStruct, frozen=True):
    """Pods with numbers, and claims for each."""

    template: PodTemplate
    selector: LabelSelector | None = None
    replicas: int = 1
    service_name: str = ""
    volume_claim_templates: tuple[PersistentVolumeClaim, ...] = ()
    ordinals: Ordinals = Ordinals()
    pod_management_policy: str = "OrderedReady"


class StatefulSet(KubeStruct, frozen=True):
    """apps/v1 StatefulSet."""

    metadata: ObjectMeta
    spec: StatefulSetSpec


class JobSpec(KubeStruct, frozen=True):
    """Pods that come to an end."""

    template: PodTemplate
    selector: LabelSelector | None = None
    parallelism: int = 1
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    active_deadline_seconds: int | None = None
    backoff_limit: int = 6
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None


class Job(KubeStruct, frozen=True):
    """batch/v1 Job."""

    metadata: ObjectMeta
    spec: JobSpec
