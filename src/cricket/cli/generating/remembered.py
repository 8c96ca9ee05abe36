"""A pod's manifest as Cricket's agent noted it on the sandbox: the very one that the pod was made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from cricket.cli.generating.facts import ContainerFacts, PodFacts
from cricket.cli.generating.objects import Objects, files
from cricket.cli.generating.volumes import SUB_PATH
from cricket.cli.generating.yaml_text import Comments

MANIFEST = "cricket.dev/pod"


def remembered(facts: PodFacts, objects: Objects, comments: Comments) -> dict[str, Any] | None:
    """The manifest, None when the sandbox has none; what it refers to is added to `objects` where it can be found."""
    try:
        pod = json.loads(facts.status.annotations.get(MANIFEST, ""))
        metadata, spec = pod["metadata"], pod["spec"]
    except (ValueError, KeyError, TypeError):
        return None
    metadata = {key: value for key, value in metadata.items() if key != "uid"}
    if metadata.get("namespace") == "default":
        del metadata["namespace"]
    if owner := pod.get("owner"):
        comments.say((), f"One of the pods of {owner.get('kind')} {owner.get('name')}.")
    namespace = metadata.get("namespace", "default")
    made = {c.status.metadata.name: c for c in facts.containers}
    for field in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(field, ())):
            _tidy(container)
            found = made.get(container["name"])
            _variables(container, found, namespace, objects, comments, ("spec", field, at))
            _resized(container, found, comments, ("spec", field, at))
    for at, volume in enumerate(spec.get("volumes", ())):
        _volume(volume, spec, made, namespace, objects, comments, ("spec", "volumes", at))
    if spec.get("imagePullSecrets"):
        comments.say(("spec", "imagePullSecrets"), "These Secrets are not here: the node does not keep them.")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _tidy(container: dict[str, Any]) -> None:
    """Leave out what is the default anyway."""
    from cricket.kubelet.manifest.defaults import pull_policy

    if container.get("imagePullPolicy") == pull_policy(container.get("image", "")):
        del container["imagePullPolicy"]
    resources = container.get("resources", {})
    requests = {k: v for k, v in resources.get("requests", {}).items() if resources.get("limits", {}).get(k) != v}
    if requests:
        resources["requests"] = requests
    else:
        resources.pop("requests", None)
    if not resources:
        container.pop("resources", None)


def _variables(
    container: dict[str, Any],
    facts: ContainerFacts | None,
    namespace: str,
    objects: Objects,
    comments: Comments,
    path: Any,
) -> None:
    """The keys of ConfigMaps and Secrets that its variables come from."""
    known = {e.key: e.value for e in facts.config.envs} if facts is not None and facts.config is not None else {}
    references: list[tuple[str, str]] = []
    for entry in container.get("env", ()):
        source = entry.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if reference := source.get(field):
                references.append((kind, reference.get("name", "")))
                if entry["name"] in known:
                    objects.add(kind, namespace, reference.get("name", ""), {reference["key"]: known[entry["name"]]})
    own = {entry["name"] for entry in container.get("env", ())}
    for source in container.get("envFrom", ()):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference := source.get(field):
                prefix = source.get("prefix", "")
                keys = {k[len(prefix) :]: v for k, v in known.items() if k.startswith(prefix) and k not in own}
                known = {k: v for k, v in known.items() if not (k.startswith(prefix) and k not in own)}
                if keys or not reference.get("optional"):
                    objects.add(kind, namespace, reference.get("name", ""), keys)
                references.append((kind, reference.get("name", "")))
    if references and (facts is None or facts.config is None):
        names = ", ".join(f"{kind} {name}" for kind, name in dict.fromkeys(references))
        comments.say(path, f"The runtime does not tell what its variables are; they come from {names}.")


def _resized(container: dict[str, Any], facts: ContainerFacts | None, comments: Comments, path: Any) -> None:
    """What was changed in place since the pod was made."""
    from cricket.cli.generating.containers import amount, milli
    from cricket.kubelet.quantity import parse

    if facts is None or not facts.status.resources.HasField("linux"):
        return
    now, limits = facts.status.resources.linux, container.get("resources", {}).get("limits", {})
    real: dict[str, str] = {}
    if "memory" in limits and now.memory_limit_in_bytes > 0 and parse(limits["memory"]) != now.memory_limit_in_bytes:
        real["memory"] = amount(now.memory_limit_in_bytes)
    if "cpu" in limits and now.cpu_quota > 0 and now.cpu_period:
        cpu = now.cpu_quota * 1000 // now.cpu_period
        if abs(float(parse(limits["cpu"])) * 1000 - cpu) >= 10:  # the kernel's least quota rounds up
            real["cpu"] = milli(cpu)
    if real:
        container["resources"]["limits"] = {**limits, **real}
        comments.say((*path, "resources"), "The limits were changed in place: these are in force.")


def _volume(
    volume: dict[str, Any], spec: dict[str, Any], made: dict[str, ContainerFacts], namespace: str,
    objects: Objects, comments: Comments, path: Any,
) -> None:  # fmt: skip
    """What the volume's files were made of."""
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if not claim and not any(_sources(volume)):
        return
    directory = _directory(volume["name"], spec, made)
    if claim:
        if directory:
            objects.add_claim(namespace, claim, directory)
        else:
            comments.say(path, f"The claim {claim} is not here: no container has all of it mounted.")
        return
    found = files(directory) if directory else None
    if found is not None:
        _without_fields(found, volume)
    for kind, name, items, optional in _sources(volume):
        if found is None:
            comments.say(path, f"{kind} {name} is not here: its files cannot be read from here.")
            continue
        if items:
            contents = {item["key"]: found.pop(item["path"]) for item in items if item["path"] in found}
        else:
            contents, found = found, {}
        if contents or not optional:
            objects.add(kind, namespace, name, contents)


def _without_fields(found: dict[str, bytes], volume: dict[str, Any]) -> None:
    """Files of a projected volume that are no object's."""
    for part in (volume.get("projected") or {}).get("sources", []):
        for item in (part.get("downwardAPI") or {}).get("items", []):
            found.pop(item["path"], None)


def _sources(volume: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]], bool]]:
    """(kind, name, items, optional) of the ConfigMaps and Secrets of a volume; those with items first: the others have
    all the rest."""
    if source := volume.get("configMap"):
        yield "ConfigMap", source.get("name", ""), source.get("items", []), source.get("optional", False)
    if source := volume.get("secret"):
        yield "Secret", source.get("secretName", ""), source.get("items", []), source.get("optional", False)
    parts = (volume.get("projected") or {}).get("sources", [])
    found = []
    for part in parts:
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if source := part.get(field):
                found.append((kind, source.get("name", ""), source.get("items", []), source.get("optional", False)))
    yield from sorted(found, key=lambda source: not source[2])


def _directory(name: str, spec: dict[str, Any], made: dict[str, ContainerFacts]) -> str:
    """Where a volume lies on this node: what a container that has all of it got, else beside what one has of it."""
    beside = ""
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        facts = made.get(container["name"])
        for mount in container.get("volumeMounts", ()) if facts is not None else ():
            path = mount["mountPath"] if mount["mountPath"].startswith("/") else f"/{mount['mountPath']}"
            told = _mounts(facts).get(path, "") if mount["name"] == name else ""
            part = SUB_PATH.search(told)
            if told and part is None and not mount.get("subPath") and not mount.get("subPathExpr"):
                return told
            for plugin in ("configmap", "secret", "projected") if part is not None else ():
                whole = f"{told[: part.start()]}/pods/{part[1]}/volumes/kubernetes.io~{plugin}/{name}" if part else ""
                beside = whole if os.path.isdir(whole) else beside
    return beside


def _mounts(facts: ContainerFacts | None) -> dict[str, str]:
    told: Iterable[Any] = () if facts is None else facts.config.mounts if facts.config else facts.status.mounts
    return {mount.container_path: mount.host_path for mount in told}
