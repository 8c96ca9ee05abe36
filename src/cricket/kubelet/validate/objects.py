"""ConfigMaps, Secrets and claims."""

from __future__ import annotations

import json

from cricket.kubelet.manifest.finding import Finding, Findings, one_of
from cricket.kubelet.model.objects import ConfigMap, PersistentVolumeClaim, Secret
from cricket.kubelet.validate import names
from cricket.kubelet.validate.pod import metadata

_LARGEST = 1 << 20
_NEEDED = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/ssh-auth": "ssh-privatekey",
    "kubernetes.io/tls": "tls.crt",
}


def config_map(value: ConfigMap) -> Findings:
    """Keys, each but once; a mebibyte in all."""
    yield from metadata(("metadata",), value.metadata)
    for field, data in (("data", value.data), ("binaryData", value.binary_data)):
        for key in data:
            yield from names.config_key((field, key), key)
    for key in value.data.keys() & value.binary_data.keys():
        yield Finding(("binaryData", key), f'"{key}" is also in data')
    if sum(len(v) for v in value.contents().values()) > _LARGEST:
        yield Finding(("data",), "more than 1 MiB")


def secret(value: Secret) -> Findings:
    """Keys; what the type asks for."""
    yield from metadata(("metadata",), value.metadata)
    for field, keys in (("data", value.data.keys()), ("stringData", value.string_data.keys())):
        for key in keys:
            yield from names.config_key((field, key), key)
    contents = value.contents()
    if sum(len(v) for v in contents.values()) > _LARGEST:
        yield Finding(("data",), "more than 1 MiB")
    needed = _NEEDED.get(value.type)
    if needed is None:
        return
    if needed not in contents:
        yield Finding(("data", needed), f"required value: the type is {value.type}")
    elif needed.startswith(".docker"):
        try:
            json.loads(contents[needed])
        except ValueError:
            yield Finding(("data", needed), "this is not JSON")


def claim(value: PersistentVolumeClaim, template: bool = False) -> Findings:
    """A claim to a directory."""
    yield from metadata(("metadata",), value.metadata, template)
    yield from one_of(("spec", "volumeMode"), value.spec.volume_mode, ("Filesystem",))
    modes = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
    if not value.spec.access_modes:
        yield Finding(("spec", "accessModes"), "required value")
    for i, mode in enumerate(value.spec.access_modes):
        yield from one_of(("spec", "accessModes", i), mode, modes)
    if "storage" not in value.spec.resources.requests:
        yield Finding(("spec", "resources", "requests", "storage"), "required value")
