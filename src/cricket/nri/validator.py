"""The built-in validator: an administrator's rules about what plugins may adjust (NRI's default validator)."""

from __future__ import annotations

import json

from cricket.config import model
from cricket.errors import CricketError, InvalidArgument, PermissionDenied, map_errors
from cricket.nri.claims import Claims, Field
from cricket.nri.plain import Plain

REQUIRED_PLUGINS = "required-plugins.noderesource.dev"
"""Annotation of a pod: a YAML list of plugins that must see its containers (or one of them, see `annotation_for`)."""


def validate(rules: model.Nri, pod: Plain, container: Plain, claims: Claims, plugins: list[str]) -> None:
    """Raises PermissionDenied when the rules forbid what plugins claimed, or a required plugin was not consulted.

    The rules are keys of the configuration's section. `container` is the pristine NRI message; `plugins` are the base
    names of those that were consulted.
    """
    if rules.reject_hooks and (owner := claims.owner(Field.OciHooks)):
        raise _denied("OCI hooks", owner)
    if owner := claims.owner(Field.SeccompPolicy):
        _check_seccomp(rules, container, owner)
    if rules.reject_namespaces and (owners := claims.owners(Field.Namespace)):
        raise _denied("namespaces", ", ".join(f"{plugin} ({kind})" for kind, plugin in owners.items()))
    if rules.reject_sysctls and (owners := claims.owners(Field.Sysctl)):
        raise _denied("sysctls", ", ".join(sorted(set(owners.values()))))
    _check_required(rules, pod, container.get("name", ""), plugins)


def annotation_for(pod: Plain, key: str, container: str) -> str | None:
    """A pod's annotation for a container: `key/container.NAME`, else `key/pod`, else `key`."""
    annotations: dict[str, str] = pod.get("annotations", {})
    for candidate in (f"{key}/container.{container}", f"{key}/pod", key):
        if candidate in annotations:
            return annotations[candidate]
    return None


def _check_seccomp(rules: model.Nri, container: Plain, owner: str) -> None:
    profile = container.get("linux", {}).get("seccomp_profile")
    kind = profile.get("profile_type", "RUNTIME_DEFAULT") if profile is not None else "UNCONFINED"
    rejected = {
        "UNCONFINED": rules.reject_unconfined_seccomp,
        "RUNTIME_DEFAULT": rules.reject_runtime_default_seccomp,
        "LOCALHOST": rules.reject_custom_seccomp,
    }
    if rejected.get(kind, False):
        raise _denied(f"the {kind.lower().replace('_', ' ')} seccomp policy", owner)


def _check_required(rules: model.Nri, pod: Plain, container: str, plugins: list[str]) -> None:
    if rules.tolerate_missing_annotation:
        value = annotation_for(pod, rules.tolerate_missing_annotation, container)
        if value is not None and _boolean(rules.tolerate_missing_annotation, value):
            return
    required = [*rules.required_plugins]
    if (value := annotation_for(pod, REQUIRED_PLUGINS, container)) is not None:
        required += _names(value)
    missing = [name for name in required if name not in plugins]
    if missing:
        raise PermissionDenied(f"required NRI plugins are not connected: {', '.join(missing)}", where=container)


def _boolean(key: str, value: str) -> bool:
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise InvalidArgument(f"annotation {key} should be true or false, is {value!r}")


def _names(text: str) -> list[str]:
    """A list of plain names in YAML: a block list, or a flow list with or without quotes."""
    text = text.strip()
    if text.startswith("["):
        with map_errors(ValueError, InvalidArgument, f"annotation {REQUIRED_PLUGINS} is no list", where=text):
            if not text.endswith("]"):
                raise ValueError("the list does not end")
            return [_unquote(item) for item in text[1:-1].split(",") if item.strip()]
    names = []
    for line in text.splitlines():
        if not (line := line.strip()) or line.startswith("#"):
            continue
        if not line.startswith("- "):
            raise InvalidArgument(f"annotation {REQUIRED_PLUGINS} is no list", where=text)
        names.append(_unquote(line[2:]))
    return names


def _unquote(item: str) -> str:
    item = item.strip()
    if item.startswith('"'):
        return str(json.loads(item))
    return item[1:-1] if len(item) > 1 and item[0] == item[-1] == "'" else item


def _denied(what: str, owner: str) -> CricketError:
    return PermissionDenied(f"adjusting {what} is not allowed to NRI plugins; asked for by {owner}")
