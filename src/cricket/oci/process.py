"""The first process: command, environment, directory, user; and processes that are added later (exec)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cricket.errors import InvalidArgument
from cricket.oci import check
from cricket.oci.host import UNLIMITED, HostFacts
from cricket.oci.inputs import HandlerSettings, JsonDict
from cricket.types.container import ContainerConfig, UserIds
from cricket.types.image import ImageConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command(config: ContainerConfig, image: ImageConfig) -> list[str]:
    """The argument vector: a command replaces the image's entrypoint and cmd, args alone replace its cmd.

    The rules of Kubernetes ("command and arguments for a container"). Raises InvalidArgument when nothing is left.
    """
    head, tail = list(config.command), list(config.args)
    if not head:
        head = [] if image.entrypoint == ("",) else list(image.entrypoint)
        tail = tail or list(image.cmd)
    argv = [check.text(word, "command") for word in head + tail]
    if not argv:
        raise InvalidArgument("no command: neither the container nor its image has one", where=config.image)
    return argv


def environment(config: ContainerConfig, image: ImageConfig, hostname: str) -> list[str]:
    """PATH, TERM (with a terminal) and HOSTNAME, then the image's, then the container's; a later one wins its place."""
    env = {"PATH": DEFAULT_PATH}
    if config.tty:
        env["TERM"] = "xterm"
    env["HOSTNAME"] = hostname
    for entry in image.env:
        key, equals, value = entry.partition("=")
        if equals:
            env[key] = value
        else:
            env.pop(key, None)
    for key, value in config.env:
        if not key or "=" in key:
            raise InvalidArgument(f"{key[:200]!r} is no name of an environment variable", where="envs")
        env[key] = value
    return [check.text(f"{key}={value}", "envs") for key, value in env.items() if key]


def working_directory(config: ContainerConfig, image: ImageConfig) -> str:
    """The container's, else the image's, else "/". An image's relative one counts from "/", as Docker has it."""
    if config.working_dir:
        return check.absolute_path(config.working_dir, "working_dir")
    return check.absolute_path("/" + image.working_dir, "working_dir of the image")


def user(ids: UserIds) -> JsonDict:
    """OCI `process.user`."""
    result: JsonDict = {"uid": ids.uid, "gid": ids.gid}
    if ids.groups:
        result["additionalGids"] = list(ids.groups)
    return result


def rlimits(settings: HandlerSettings, host: HostFacts) -> list[JsonDict]:
    """The handler's limits, lowered to what the kernel takes, or what the daemon has when it may not raise limits."""
    result = []
    for name, (soft, hard) in settings.rlimits.items():
        if not host.may_raise_rlimits:
            hard = min(hard, host.rlimits.get(name, UNLIMITED))
        if name == "RLIMIT_NOFILE":
            hard = min(hard, host.max_open_files)
        result.append({"type": name, "soft": min(soft, hard), "hard": hard})
    return result


def exec_process(
    spec: Mapping[str, object], argv: Sequence[str], *, tty: bool = False, extra_env: Iterable[str] = ()
) -> JsonDict:
    """The process.json of a command that is executed in a container with this spec.

    It has the user, capabilities, labels, limits and directory of the container's first process, and its environment
    with TERM set when it gets a terminal. Raises InvalidArgument for an empty command.
    """
    if not argv:
        raise InvalidArgument("no command", where="cmd")
    first = spec["process"]
    if not isinstance(first, Mapping):
        raise InvalidArgument("the container's spec has no process")
    process: JsonDict = {k: v for k, v in first.items() if k not in ("args", "terminal", "consoleSize", "commandLine")}
    process["args"] = [check.text(word, "cmd") for word in argv]
    process["terminal"] = tty
    env = [*process.get("env", ()), *extra_env]
    if tty and not any(e.startswith("TERM=") for e in env):
        env.append("TERM=xterm")
    process["env"] = env
    return process
