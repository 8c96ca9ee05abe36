"""A container's securityContext from what the runtime tells."""

from __future__ import annotations

import os
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.generating.facts import ContainerFacts
from cricket.cli.generating.yaml_text import Comments, Path

_PROFILES = {0: "RuntimeDefault", 1: "Unconfined", 2: "Localhost"}


def security(facts: ContainerFacts, comments: Comments, path: Path) -> dict[str, Any]:
    """The securityContext, without what is the default."""
    if facts.config is None:
        return _from_spec(facts, comments, path)
    told = facts.config.linux.security_context
    result: dict[str, Any] = {}
    if told.privileged:
        result["privileged"] = True
    result |= _user(told, facts)
    if told.readonly_rootfs:
        result["readOnlyRootFilesystem"] = True
    if told.no_new_privs and not told.privileged:
        result["allowPrivilegeEscalation"] = False
    added, dropped = list(told.capabilities.add_capabilities), list(told.capabilities.drop_capabilities)
    if added or dropped:
        result["capabilities"] = {k: v for k, v in (("add", added), ("drop", dropped)) if v}
    result |= _profiles(told, comments, path)
    if told.HasField("selinux_options"):
        options = told.selinux_options
        names = {k: getattr(options, k) for k in ("user", "role", "type", "level") if getattr(options, k)}
        if names:
            result["seLinuxOptions"] = names
    if not told.masked_paths and not told.privileged:
        comments.say(
            (*path, "securityContext"),
            "Nothing of /proc is hidden from it; a manifest can say so only with hostUsers: false.",
        )
    return result


def _user(told: Any, facts: ContainerFacts) -> dict[str, Any]:
    """Who it runs as, unless the image says the same."""
    image, result = facts.image, dict[str, Any]()
    if told.HasField("run_as_user"):
        own = image is not None and (image.uid.value if image.HasField("uid") else 0)
        if image is None or image.username or own != told.run_as_user.value:
            result["runAsUser"] = told.run_as_user.value
    elif told.run_as_username and (image is None or image.username != told.run_as_username):
        result["runAsUser"] = facts.status.user.linux.uid
    if told.HasField("run_as_group"):
        result["runAsGroup"] = told.run_as_group.value
    return result


def _profiles(told: Any, comments: Comments, path: Path) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if told.HasField("seccomp") and told.seccomp.profile_type != pb.SecurityProfile.Unconfined:
        result["seccompProfile"] = _profile(told.seccomp, os.path.basename(told.seccomp.localhost_ref))
        if told.seccomp.localhost_ref:
            comments.say((*path, "securityContext", "seccompProfile"), f"Its file: {told.seccomp.localhost_ref}")
    if told.HasField("apparmor"):
        result["appArmorProfile"] = _profile(told.apparmor, told.apparmor.localhost_ref)
    return result


def _profile(told: Any, name: str) -> dict[str, str]:
    kind = _PROFILES.get(told.profile_type, "RuntimeDefault")
    return {"type": kind, **({"localhostProfile": name} if kind == "Localhost" else {})}


def _from_spec(facts: ContainerFacts, comments: Comments, path: Path) -> dict[str, Any]:
    """From the OCI configuration."""
    result: dict[str, Any] = {}
    process = facts.spec.get("process") or {}
    user = facts.status.user.linux
    if user.uid:
        result["runAsUser"], result["runAsGroup"] = user.uid, user.gid
    if process.get("noNewPrivileges"):
        result["allowPrivilegeEscalation"] = False
    if (facts.spec.get("root") or {}).get("readonly"):
        result["readOnlyRootFilesystem"] = True
    comments.say(
        (*path, "securityContext"), "The runtime tells neither capabilities nor profiles as they were asked for."
    )
    return result
