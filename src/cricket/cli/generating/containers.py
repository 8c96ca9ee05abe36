"""A container of a manifest from what the runtime tells."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.generating.facts import ContainerFacts
from cricket.cli.generating.security import security
from cricket.cli.generating.volumes import Volumes
from cricket.cli.generating.yaml_text import Comments, Path

_MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
_MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
_PRE_STOP = "io.kubernetes.container.preStopHandler"
_SERVICE = ("KUBERNETES_SERVICE_", "KUBERNETES_PORT")
_GUARANTEED = -997


def container(facts: ContainerFacts, volumes: Volumes, comments: Comments, path: Path) -> dict[str, Any]:
    """The container at `path` of the manifest."""
    status = facts.status
    result: dict[str, Any] = {"name": status.metadata.name, "image": _image(facts, comments, path)}
    if ":" not in result["image"].rpartition("/")[2] or result["image"].endswith(":latest"):
        result["imagePullPolicy"] = "IfNotPresent"
    if facts.config is None:
        _from_spec(result, facts, comments, path)
    else:
        _from_config(result, facts.config, comments, path)
    message = status.annotations.get(_MESSAGE_PATH, "/dev/termination-log")
    if message != "/dev/termination-log":
        result["terminationMessagePath"] = message
    if status.annotations.get(_MESSAGE_POLICY, "File") != "File":
        result["terminationMessagePolicy"] = status.annotations[_MESSAGE_POLICY]
    if mounts := volumes.mounts(facts, message, path):
        result["volumeMounts"] = mounts
    if resources := _resources(facts, comments, path):
        result["resources"] = resources
    if context := security(facts, comments, path):
        result["securityContext"] = context
    with contextlib.suppress(ValueError):
        if _PRE_STOP in status.annotations:
            result.setdefault("lifecycle", {})["preStop"] = json.loads(status.annotations[_PRE_STOP])
    return result


def _image(facts: ContainerFacts, comments: Comments, path: Path) -> str:
    """As the user wrote it, else a name that the image has, else its id."""
    image, found = facts.status.image, facts.image
    configured = facts.config.image if facts.config is not None else image
    for text in (image.user_specified_image, configured.user_specified_image, image.image, configured.image):
        if text and not text.startswith("sha256:") and not _is_id(text):
            return str(text)
    for names in (found.repo_tags, found.repo_digests) if found is not None else ():
        if names:
            return str(names[0])
    comments.say((*path, "image"), "It has no name on this node any more: this is its id.")
    return str(image.image or facts.status.image_ref)


def _is_id(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _from_config(result: dict[str, Any], config: Any, comments: Comments, path: Path) -> None:
    for field, words in (("command", config.command), ("args", config.args)):
        if words:
            result[field] = [plain(word) for word in words]
    if config.working_dir:
        result["workingDir"] = config.working_dir
    pairs = [(e.key, e.value) for e in config.envs]
    result |= _env(pairs, comments, path)
    for field, value in (("stdin", config.stdin), ("stdinOnce", config.stdin_once), ("tty", config.tty)):
        if value:
            result[field] = True
    if config.stop_signal:
        name = pb.Signal.Name(config.stop_signal).removeprefix("SIGNAL_").replace("PLUS", "+").replace("MINUS", "-")
        result["lifecycle"] = {"stopSignal": name}
    if config.devices or config.CDI_devices:
        names = ", ".join([d.host_path for d in config.devices] + [d.name for d in config.CDI_devices])
        comments.say(path, f"It has devices, which a manifest cannot ask for: {names}")


def _from_spec(result: dict[str, Any], facts: ContainerFacts, comments: Comments, path: Path) -> None:
    """From the OCI configuration, in which what the image says is mixed in."""
    process, entry = facts.spec.get("process") or {}, facts.entry
    if not process:
        comments.say(path, "The runtime does not tell command, variables and terminal.")
        return
    args, env = list(process.get("args") or ()), list(process.get("env") or ())
    if args != [*(entry.get("Entrypoint") or ()), *(entry.get("Cmd") or ())]:
        result["command"] = [plain(word) for word in args]
    if process.get("cwd", "/") != (entry.get("WorkingDir") or "/"):
        result["workingDir"] = process["cwd"]
    known = {*(entry.get("Env") or ())}
    names = ("HOSTNAME=", "TERM=", "HOME=", "container=")
    own = [e.partition("=") for e in env if e not in known and not e.startswith(names)]
    result |= _env([(key, value.encode()) for key, _, value in own if key != "PATH" or known], comments, path)
    if process.get("terminal"):
        result["stdin"] = result["tty"] = True
        comments.say((*path, "stdin"), "It has a terminal; whether it takes input is not known.")


def _env(pairs: list[tuple[str, bytes]], comments: Comments, path: Path) -> dict[str, Any]:
    if any(key.startswith(_SERVICE) for key, _ in pairs):
        comments.say((*path, "env"), "Variables of the cluster's services are left out: they come from there.")
    env = [(key, value) for key, value in pairs if not key.startswith(_SERVICE)]
    result = []
    for key, value in env:
        try:
            result.append({"name": key, "value": plain(value.decode())})
        except UnicodeDecodeError:
            comments.say((*path, "env"), f"The value of {key} is no UTF-8: it is not here.")
    return {"env": result} if result else {}


def plain(text: str) -> str:
    """Text that is to stay as it is: $(NAME) is for Kubernetes to replace."""
    return text.replace("$$", "$$$$").replace("$(", "$$(")


def _resources(facts: ContainerFacts, comments: Comments, path: Path) -> dict[str, Any]:
    """What is in force now, after changes in place."""
    asked = facts.config.linux.resources if facts.config is not None else pb.LinuxContainerResources()
    now = facts.status.resources.linux if facts.status.resources.HasField("linux") else asked
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    if now.cpu_quota > 0 and now.cpu_period:
        limits["cpu"] = milli(math.ceil(now.cpu_quota * 1000 / now.cpu_period))
    if now.memory_limit_in_bytes > 0:
        limits["memory"] = amount(now.memory_limit_in_bytes)
    for page in asked.hugepage_limits:
        if page.limit:
            limits[f"hugepages-{page.page_size.replace('B', 'i')}"] = amount(page.limit)
    guaranteed = asked.oom_score_adj <= _GUARANTEED
    if now.cpu_shares > 2:
        request = milli(math.ceil(now.cpu_shares * 1000 / 1024))
        if request != limits.get("cpu"):
            requests["cpu"] = request
    if "memory" in limits and not guaranteed and facts.config is not None:
        comments.say((*path, "resources"), "The runtime does not know what memory is requested, only the limit.")
    return {key: value for key, value in (("limits", limits), ("requests", requests)) if value}


def milli(thousandths: int) -> str:
    """CPUs as Kubernetes spells them."""
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def amount(count: int) -> str:
    """Bytes as Kubernetes spells them."""
    for shift, unit in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if count % (1 << shift) == 0:
            return f"{count >> shift}{unit}"
    return str(count)
