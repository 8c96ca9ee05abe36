"""Volumes of a manifest from a container's mounts."""

from __future__ import annotations

import os
import re
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.generating.facts import ContainerFacts
from cricket.cli.generating.objects import Objects, files
from cricket.cli.generating.yaml_text import Comments, Path

KUBELET = re.compile(r"/pods/([^/]+)/volumes/kubernetes\.io~([a-z-]+)/([^/]+)(/.*)?$")
SUB_PATH = re.compile(r"/pods/([^/]+)/volume-subpaths/([^/]+)/([^/]+)/(\d+)$")
_OURS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm")
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_PROPAGATION = {pb.PROPAGATION_HOST_TO_CONTAINER: "HostToContainer", pb.PROPAGATION_BIDIRECTIONAL: "Bidirectional"}


class Volumes:
    """The volumes of one pod, found one mount after the other."""

    def __init__(self, comments: Comments, objects: Objects, pod: Any) -> None:
        """`pod` is the sandbox's metadata."""
        self._objects, self._pod = objects, pod
        self.made: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self._comments = comments

    def mounts(self, facts: ContainerFacts, message: str, path: Path) -> list[dict[str, Any]]:
        """The volumeMounts of a container; its volumes are remembered. `message` is its terminationMessagePath."""
        told = facts.config.mounts if facts.config is not None else facts.status.mounts
        images = {m.container_path: m.image for m in facts.status.mounts if m.image.image}
        result: list[dict[str, Any]] = []
        for mount in told:
            where = mount.container_path
            if where == message or (where in _OURS and not mount.image.image and _runtimes(mount)):
                continue
            if where == _ACCOUNT:
                self._comments.say((*path, "volumeMounts"), "The token of the service account is left out.")
                continue
            here = (*path, "volumeMounts", len(result))
            entry: dict[str, Any] = {"name": self._volume(mount, images.get(where), here), "mountPath": where}
            if mount.readonly and not mount.image.image:
                entry["readOnly"] = True
            if mount.image_sub_path:
                entry["subPath"] = mount.image_sub_path
            if mount.propagation in _PROPAGATION:
                entry["mountPropagation"] = _PROPAGATION[mount.propagation]
            if mount.recursive_read_only:
                entry["recursiveReadOnly"] = "IfPossible"
            result.append(entry)
        return result

    def _volume(self, mount: Any, known: Any, path: Path) -> str:
        """The name of the volume that the mount is of."""
        if mount.image.image:
            reference = mount.image.user_specified_image or (known.image if known else "") or mount.image.image
            return self._add(
                f"image {reference}", "image", {"image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
            )
        source = mount.host_path
        if found := SUB_PATH.search(source):
            self._comments.say(
                path, f"A sub-path of the volume {found[2]}: which one is not known; it is the path of this node."
            )
            return self._add(source, found[2], {"hostPath": {"path": source}})
        found = KUBELET.search(source)
        if found is None:
            return self._add(source, os.path.basename(source) or "root", {"hostPath": {"path": source}})
        if found[2] == "empty-dir":
            memory = _is_memory(source)
            return self._add(source, found[3], {"emptyDir": {"medium": "Memory"} if memory else {}})
        contents = files(source)
        if contents is None:
            self._comments.say(path, f"A volume of the kind {found[2]}, whose files cannot be read: its path of now.")
            return self._add(source, found[3], {"hostPath": {"path": source}})
        return self._add(source, found[3], self._object(found[2], found[3], contents, path))

    def _object(self, kind: str, volume: str, contents: dict[str, bytes], path: Path) -> dict[str, Any]:
        """A source with these files, from an object beside the pod; its own name is not known."""
        secret, name = kind == "secret", f"{self._pod.name}-{volume}"
        self._comments.say(path, f"A volume of the kind {kind}: its files of now, in an object beside the pod.")
        keys = {path: path.replace("/", ".") for path in contents}
        self._objects.add(
            "Secret" if secret else "ConfigMap", self._pod.namespace, name, {keys[p]: v for p, v in contents.items()}
        )
        source: dict[str, Any] = {"secretName": name} if secret else {"name": name}
        if any(path != key for path, key in keys.items()):
            source["items"] = [{"key": key, "path": path} for path, key in keys.items()]
        return {"secret" if secret else "configMap": source}

    def _add(self, key: str, wish: str, source: dict[str, Any]) -> str:
        if key not in self._names:
            base = (
                re.sub(r"[^a-z0-9]+", "-", wish.rpartition("/")[2].partition(":")[0].lower()).strip("-")[:50]
                or "volume"
            )
            taken = {volume["name"] for volume in self.made}
            name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 10_000))) if n not in taken)
            self._names[key] = name
            self.made.append({"name": name, **source})
        return self._names[key]


def _runtimes(mount: Any) -> bool:
    """Whether a mount of a file such as /etc/hosts is the kubelet's or the runtime's own, not a volume."""
    return not mount.host_path.startswith("/etc/") and KUBELET.search(mount.host_path) is None


def _is_memory(path: str) -> bool:
    """Whether a tmpfs is mounted there, as far as can be seen from here."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return any(line.split(" ", 5)[4] == path and " - tmpfs " in line for line in file)
    except OSError:
        return False
