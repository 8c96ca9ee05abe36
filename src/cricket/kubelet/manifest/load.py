"""Manifests in, valid objects out."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from cricket.kubelet.identity import pod_uid
from cricket.kubelet.manifest import expand
from cricket.kubelet.manifest.convert import Converter
from cricket.kubelet.manifest.defaults import with_defaults
from cricket.kubelet.manifest.desired import Desired, Problem
from cricket.kubelet.manifest.finding import Finding, Path, spelled
from cricket.kubelet.manifest.yaml_nodes import Document, Unreadable, documents
from cricket.kubelet.model.base import KubeStruct, ObjectMeta
from cricket.kubelet.model.objects import ConfigMap, PersistentVolumeClaim, Secret
from cricket.kubelet.model.pod import Pod, PodSpec
from cricket.kubelet.model.workload import DaemonSet, Deployment, Job, StatefulSet
from cricket.kubelet.validate import objects, pod, workload


class PodManifest(KubeStruct, frozen=True):
    """A pod as it is written."""

    metadata: ObjectMeta
    spec: PodSpec


class _Kind(NamedTuple):
    version: str
    type: type[Any]


_KINDS = {
    "Pod": _Kind("v1", PodManifest),
    "ConfigMap": _Kind("v1", ConfigMap),
    "Secret": _Kind("v1", Secret),
    "PersistentVolumeClaim": _Kind("v1", PersistentVolumeClaim),
    "Deployment": _Kind("apps/v1", Deployment),
    "ReplicaSet": _Kind("apps/v1", Deployment),
    "DaemonSet": _Kind("apps/v1", DaemonSet),
    "StatefulSet": _Kind("apps/v1", StatefulSet),
    "Job": _Kind("batch/v1", Job),
}
_ELSEWHERE = {
    **dict.fromkeys(("Service", "Ingress", "NetworkPolicy"), "ports of the node (hostPort) lead to pods here"),
    **dict.fromkeys(("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), "no API server"),
    **dict.fromkeys(("HorizontalPodAutoscaler", "PodDisruptionBudget", "PriorityClass"), "there is only this node"),
    **dict.fromkeys(("LimitRange", "ResourceQuota"), "nothing enforces them here"),
    "Namespace": "namespaces need no object here",
    "StorageClass": "claims are directories of this node",
    "PersistentVolume": "claims are directories of this node",
    "CronJob": "nothing starts pods by the clock here; use a Job and cron",
}
_LISTED = ("apiVersion", "kind", "metadata", "items")


def load(text: bytes, origin: str, node: str) -> Desired:
    """The objects of a stream of YAML or JSON documents, with defaults, validated, workloads expanded to pods.

    `origin` is the name that messages begin with (a file's path, a URL, "stdin"), `node` the node's name. Raises
    nothing for bad input: all that is wrong is in `errors`.
    """
    loader = _Loader(origin, node)
    try:
        for document in documents(text):
            loader.document = document
            loader.one(document.data, ())
    except Unreadable as error:
        loader.errors.append(Problem(origin, error.line, "", str(error)))
    return loader.desired()


class _Loader:
    """Collects the objects of one source."""

    document: Document

    def __init__(self, origin: str, node: str) -> None:
        self._origin, self._node = origin, node
        self.errors: list[Problem] = []
        self._warnings: list[Problem] = []
        self._objects: dict[tuple[type[Any], str], Any] = {}

    def desired(self) -> Desired:
        """What was found."""

        def some(kind: type[Any]) -> tuple[Any, ...]:
            return tuple(value for (found, _), value in self._objects.items() if found is kind)

        return Desired(
            origin=self._origin,
            pods=some(Pod),
            config_maps=some(ConfigMap),
            secrets=some(Secret),
            claims=some(PersistentVolumeClaim),
            errors=tuple(sorted(self.errors, key=lambda problem: problem.line)),
            warnings=tuple(sorted(self._warnings, key=lambda problem: problem.line)),
        )

    def one(self, data: Any, at: Path) -> None:
        """One object at a path of the document: all of it, or an item of a List."""
        if data is None:
            return
        if not isinstance(data, dict):
            self._tell([Finding((), "this should be an object with apiVersion and kind")], at)
            return
        kind = data.get("kind")
        if kind in ("List", "PodList") and isinstance(data.get("items"), list):
            self._tell([Finding((key,), "unknown field") for key in data if key not in _LISTED], at)
            for i, item in enumerate(data["items"]):
                self.one({"apiVersion": "v1", "kind": "Pod", **item} if kind == "PodList" else item, (*at, "items", i))
            return
        found = self._kind(kind, data.get("apiVersion"), at)
        if found is None or not isinstance(kind, str):
            return
        converter = Converter()
        body = {key: value for key, value in data.items() if key not in ("apiVersion", "kind", "status")}
        value = _defaulted(converter.struct(body, found.type, ()))
        twice = [
            Finding(path[len(at) :], f'"{path[-1]}" stands here twice')
            for path in self.document.duplicates
            if path[: len(at)] == at
        ]
        mistakes = [finding.path for finding in converter.findings if not finding.warning]
        rest = [f for f in _validate(value) if not any(path[: len(f.path)] == f.path for path in mistakes)]
        if self._tell([*twice, *converter.findings, *rest], at):
            self._keep(value, kind, at)

    def _kind(self, kind: Any, version: Any, at: Path) -> _Kind | None:
        if not isinstance(kind, str) or not kind:
            self._tell([Finding(("kind",), "required value")], at)
            return None
        found = _KINDS.get(kind)
        if found is None and (reason := _ELSEWHERE.get(kind)):
            self._tell([Finding(("kind",), f"{kind} is ignored: {reason}", warning=True)], at)
        elif found is None:
            near = difflib.get_close_matches(kind, _KINDS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"it should be one of {', '.join(_KINDS)}"
            self._tell([Finding(("kind",), f'unknown kind "{kind}"; {advice}')], at)
        elif version != found.version:
            self._tell([Finding(("apiVersion",), f"{kind} is of {found.version}")], at)
            return None
        return found

    def _tell(self, findings: list[Finding], at: Path) -> bool:
        """Note what was found, the first thing about each field only; true when none of it is an error."""
        good, told = True, set[tuple[Path, bool]]()
        for finding in findings:
            if (finding.path, finding.warning) in told:
                continue
            told.add((finding.path, finding.warning))
            path = (*at, *finding.path)
            problem = Problem(self._origin, self.document.line_of(path), spelled(path), finding.text)
            (self._warnings if finding.warning else self.errors).append(problem)
            good = good and finding.warning
        return good

    def _keep(self, value: Any, kind: str, at: Path) -> None:
        namespace = value.metadata.namespace or "default"
        if isinstance(value, PodManifest):
            self._keep_pod(Pod(replace(value.metadata, namespace=namespace), value.spec), at)
        elif isinstance(value, (ConfigMap, Secret, PersistentVolumeClaim)):
            self._add(type(value), replace(value, metadata=replace(value.metadata, namespace=namespace)), at)
        else:
            for claim in expand.claims(value, namespace):
                self._add(PersistentVolumeClaim, claim, at)
            for made in expand.expand(value, kind, namespace):
                self._keep_pod(made, at)

    def _keep_pod(self, value: Pod, at: Path) -> None:
        uid = value.metadata.uid or pod_uid(value, self._node)
        self._add(Pod, replace(value, metadata=replace(value.metadata, uid=uid), origin=self._origin), at)

    def _add(self, kind: type[Any], value: Any, at: Path) -> None:
        key = value.metadata.key
        if (kind, key) in self._objects:
            self._tell([Finding(("metadata", "name"), f"there is another {kind.__name__} {key} in this source")], at)
        else:
            self._objects[kind, key] = value


def _defaulted(value: Any) -> Any:
    if isinstance(value, PodManifest):
        return replace(value, spec=with_defaults(value.spec))
    if isinstance(value, (Deployment, DaemonSet, StatefulSet, Job)):
        template: Any = replace(value.spec.template, spec=with_defaults(value.spec.template.spec))
        spec: msgspec.Struct = value.spec
        return replace(value, spec=replace(spec, template=template))
    return value


def _validate(value: Any) -> list[Finding]:
    if isinstance(value, PodManifest):
        return [*pod.metadata(("metadata",), value.metadata), *pod.spec(("spec",), value.spec)]
    if isinstance(value, ConfigMap):
        return [*objects.config_map(value)]
    if isinstance(value, Secret):
        return [*objects.secret(value)]
    if isinstance(value, PersistentVolumeClaim):
        return [*objects.claim(value)]
    return [*workload.workload(value)]
