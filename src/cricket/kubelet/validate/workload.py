"""Deployments, DaemonSets, StatefulSets and Jobs."""

from __future__ import annotations

from msgspec.structs import replace

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.model.volume import Volume
from cricket.kubelet.model.workload import DaemonSet, Deployment, Job, LabelSelector, PodTemplate, StatefulSet
from cricket.kubelet.validate import names, objects, pod

MOST_PODS = 1000
"""No node runs more; a slip of the finger should not try."""


def workload(value: Deployment | DaemonSet | StatefulSet | Job) -> Findings:
    """The parts that all have, then those of the kind."""
    yield from pod.metadata(("metadata",), value.metadata)
    template = value.spec.template
    yield from pod.metadata(("spec", "template", "metadata"), template.metadata, template=True)
    if template.metadata.namespace not in ("", value.metadata.namespace or "default"):
        yield Finding(("spec", "template", "metadata", "namespace"), "it has to be the workload's own")
    yield from pod.spec(("spec", "template", "spec"), _with_claims(value))
    if isinstance(value, Job):
        yield from _job(value)
        return
    here: Path = ("spec", "template", "spec", "restartPolicy")
    yield from one_of(here, template.spec.restart_policy, ("Always",))
    yield from _selector(("spec", "selector"), value.spec.selector, template)
    if not isinstance(value, DaemonSet):
        yield from _count(("spec", "replicas"), value.spec.replicas)
    if isinstance(value, StatefulSet):
        here = ("spec", "podManagementPolicy")
        yield from one_of(here, value.spec.pod_management_policy, ("OrderedReady", "Parallel"))
        for i, claim in enumerate(value.spec.volume_claim_templates):
            for finding in objects.claim(claim):
                yield finding._replace(path=("spec", "volumeClaimTemplates", i, *finding.path))


def _with_claims(value: Deployment | DaemonSet | StatefulSet | Job) -> PodSpec:
    """The template's pod; a StatefulSet's has a volume for each claim, instead of one of the same name."""
    spec = value.spec.template.spec
    if not isinstance(value, StatefulSet):
        return spec
    claimed = [claim.metadata.name for claim in value.spec.volume_claim_templates]
    own = [volume for volume in spec.volumes if volume.name not in claimed]
    return replace(spec, volumes=(*own, *(Volume(name) for name in claimed)))


def _count(path: Path, value: int) -> Findings:
    yield from names.at_least(path, value, 0)
    if value > MOST_PODS:
        yield Finding(path, f"{value} pods are more than one node takes: {MOST_PODS}")


def _selector(path: Path, selector: LabelSelector | None, template: PodTemplate) -> Findings:
    if selector is None or not (selector.match_labels or selector.match_expressions):
        yield Finding(path, "required value")
        return
    labels = template.metadata.labels
    for key, value in selector.match_labels.items():
        if labels.get(key) != value:
            yield Finding(("spec", "template", "metadata", "labels"), f"the selector wants {key}: {value}")
    for i, expression in enumerate(selector.match_expressions):
        here = (*path, "matchExpressions", i)
        yield from one_of((*here, "operator"), expression.operator, ("In", "NotIn", "Exists", "DoesNotExist"))
        present, value = expression.key in labels, labels.get(expression.key, "")
        selects = {
            "In": present and value in expression.values,
            "NotIn": not present or value not in expression.values,
            "Exists": present,
            "DoesNotExist": not present,
        }
        if not selects.get(expression.operator, True):
            yield Finding(here, "it does not select the template")


def _job(job: Job) -> Findings:
    here: Path = ("spec", "template", "spec", "restartPolicy")
    yield from one_of(here, job.spec.template.spec.restart_policy, ("OnFailure", "Never"))
    yield from _count(("spec", "parallelism"), job.spec.parallelism)
    yield from names.at_least(("spec", "backoffLimit"), job.spec.backoff_limit, 0)
    yield from one_of(("spec", "completionMode"), job.spec.completion_mode, ("NonIndexed", "Indexed"))
    if job.spec.completions is not None:
        yield from _count(("spec", "completions"), job.spec.completions)
    elif job.spec.completion_mode == "Indexed":
        yield Finding(("spec", "completions"), "required value: completionMode is Indexed")
    if job.spec.active_deadline_seconds is not None:
        yield from names.at_least(("spec", "activeDeadlineSeconds"), job.spec.active_deadline_seconds, 1)
    if job.spec.ttl_seconds_after_finished is not None:
        yield from names.at_least(("spec", "ttlSecondsAfterFinished"), job.spec.ttl_seconds_after_finished, 0)
