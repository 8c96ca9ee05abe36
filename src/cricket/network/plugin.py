"""Calling a plugin (CNI SPEC section 2): environment, standard input, answer, error object.

`Plugin` is the seam: whatever answers `invoke` can stand in for the executable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from cricket.errors import Code, CricketError, DeadlineExceeded, FailedPrecondition, map_errors
from cricket.kernel import process
from cricket.kernel.effects import effect
from cricket.network import versions
from cricket.network.attachment import Attachment
from cricket.network.conf import NetworkConf
from cricket.types.stage import stage

TIMEOUT = 120.0

# UNKNOWN_CONTAINER means that no cleanup is needed, says the specification.
INCOMPATIBLE, UNKNOWN_CONTAINER, TRY_AGAIN, UNAVAILABLE, LIMITED = 1, 3, 11, 50, 51
_KINDS = {
    INCOMPATIBLE: Code.FAILED_PRECONDITION,  # the node's configuration is wrong: version, field, network
    2: Code.FAILED_PRECONDITION,
    7: Code.FAILED_PRECONDITION,
    TRY_AGAIN: Code.UNAVAILABLE,
    UNAVAILABLE: Code.UNAVAILABLE,
    LIMITED: Code.UNAVAILABLE,
}
_LONGEST = 4000


class PluginFailed(CricketError):
    """A plugin answered with an error; `cni_code` is the specification's number, 0 when it printed none."""

    def __init__(self, plugin: str, command: str, cni_code: int, msg: str, details: str) -> None:
        text = "; ".join(t[:_LONGEST] for t in (msg, details) if t)
        number = f" (code {cni_code})" if cni_code else ""
        super().__init__(f"CNI plugin {plugin} failed on {command}{number}: {text}")
        self.plugin, self.command, self.cni_code, self.msg, self.details = plugin, command, cni_code, msg, details
        self.code = _KINDS.get(cni_code, Code.INTERNAL)


class Plugin(Protocol):
    """Something that performs CNI commands for one plugin type."""

    async def invoke(self, command: str, net_conf: Mapping[str, object], args: Attachment) -> object:
        """Perform ADD, DEL, CHECK, GC, STATUS or VERSION; returns the decoded answer, None when there is none.

        `net_conf` is the derived request configuration. Raises PluginFailed or DeadlineExceeded.
        """


class Executable:
    """A plugin that is a program. The environment is the daemon's without what is meant for the daemon alone."""

    def __init__(self, path: str, bin_dirs: Sequence[str], timeout: float) -> None:
        self.path, self._bin_dirs, self._timeout = path, tuple(bin_dirs), timeout

    async def invoke(self, command: str, net_conf: Mapping[str, object], args: Attachment) -> object:
        """See `Plugin`."""
        name = os.path.basename(self.path)
        try:
            with stage(f"CNI plugin {name} {command}", args.container_id):
                done = await process.run(
                    [self.path],
                    stdin=msgspec.json.encode(net_conf),
                    env=environment(command, args, self._bin_dirs),
                    timeout=self._timeout,
                )
        except DeadlineExceeded as e:
            what = f"CNI plugin {name} did not finish {command} in {self._timeout:g} s"
            raise DeadlineExceeded(what, where=args.container_id) from e
        effect(f"cni {name} {command}")
        if done.code:
            raise _failure(name, command, done)
        if not done.stdout.strip():
            return None
        try:
            return msgspec.json.decode(done.stdout)
        except (msgspec.MsgspecError, RecursionError, ValueError) as e:
            raise PluginFailed(name, command, 6, "its answer is not JSON", str(e)) from e


def _failure(name: str, command: str, done: process.Result) -> PluginFailed:
    try:
        answer: object = msgspec.json.decode(done.stdout)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        answer = None
    if isinstance(answer, dict):
        number = answer.get("code")
        number = number if type(number) is int else 0
        msg, details = str(answer.get("msg") or ""), str(answer.get("details") or "")
        if number or msg:
            return PluginFailed(name, command, number, msg, details)
    return PluginFailed(name, command, 0, f"exit code {done.code}", done.error_text)


def environment(command: str, args: Attachment, bin_dirs: Sequence[str]) -> dict[str, str]:
    """The plugin's environment: CNI_* and the daemon's own, as plugins need PATH and proxies."""
    private = ("CNI_", "CRICKET_", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(private)}
    env |= {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": args.container_id,
        "CNI_NETNS": args.netns,
        "CNI_IFNAME": args.ifname,
        "CNI_ARGS": ";".join(f"{k}={v}" for k, v in args.args),
        "CNI_PATH": ":".join(bin_dirs),
    }
    return env


class Plugins:
    """Finds plugins by type in the binary directories, in order; knows which versions each of them speaks.

    With `builtin`, the standard plugins that this process can stand in for need no executable.
    """

    def __init__(self, bin_dirs: Sequence[str], timeout: float = TIMEOUT, *, builtin: bool = True) -> None:
        self.bin_dirs, self.timeout, self.builtin = tuple(bin_dirs), timeout, builtin
        self._versions: dict[tuple[str, int, int], frozenset[str] | None] = {}

    def path(self, plugin_type: str) -> str | None:
        """The executable, None when it is not installed."""
        for directory in self.bin_dirs:
            path = os.path.join(directory, plugin_type)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        return None

    def missing(self, conf: NetworkConf) -> tuple[str, ...]:
        """The plugins of a network that are neither installed nor built in."""
        absent = [t for t in conf.plugin_types() if self.path(t) is None]
        if not absent or not self.builtin:
            return tuple(absent)
        ours = self.in_process(conf)
        return tuple(t for t in absent if t not in ours)

    def in_process(self, conf: NetworkConf) -> tuple[str, ...]:
        """The plugins of a network that run in this process."""
        if not self.builtin:
            return ()
        from cricket.network.builtin import choose

        needed = {t for plugin in conf.plugins for t in choose.executables(plugin)}
        return tuple(t for t in conf.plugin_types() if t not in needed)

    def choose(self, net_conf: Mapping[str, object]) -> Plugin:
        """Who serves an entry of `plugins`, or a request that was made of it: a built-in or the executable.

        Raises FailedPrecondition when it is neither built in nor installed.
        """
        name = str(net_conf["type"])
        if self.builtin:
            from cricket.network.builtin import choose  # nodes with other networks never need it

            builtin = choose.find(net_conf)
            if builtin is not None:
                return choose.InProcess(name, builtin, self)
        return self.get(name)

    def get(self, plugin_type: str) -> Executable:
        """The executable; raises FailedPrecondition when it is not installed."""
        path = self.path(plugin_type)
        if path is None:
            where = ":".join(self.bin_dirs)
            todo = "Install it, or name its directory in network.bin_dirs"
            raise FailedPrecondition(f"CNI plugin {plugin_type} is not installed", where=where, todo=todo)
        return Executable(path, self.bin_dirs, self.timeout)

    async def versions(self, plugin_type: str) -> frozenset[str] | None:
        """The versions that the plugin says it speaks (VERSION), None when it does not say.

        Asked once per file as it is on disk. An installed executable decides also for a built-in, so that it may take
        over at any time. Raises FailedPrecondition when it is neither installed nor built in.
        """
        if self.builtin and self.path(plugin_type) is None:
            from cricket.network.builtin import choose

            if choose.exists(plugin_type):
                return frozenset(versions.SUPPORTED)
        plugin = self.get(plugin_type)
        with map_errors(OSError, FailedPrecondition, f"CNI plugin {plugin_type} went away", where=plugin.path):
            info = os.stat(plugin.path)
        key = (plugin.path, info.st_ino, info.st_mtime_ns)
        if key not in self._versions:
            try:
                answer = await plugin.invoke("VERSION", {"cniVersion": "1.0.0"}, Attachment("", "", ""))
            except CricketError:
                answer = None  # simple scripts do not know VERSION
            found = answer.get("supportedVersions") if isinstance(answer, dict) else None
            self._versions[key] = frozenset(str(v) for v in found) if isinstance(found, list) and found else None
        return self._versions[key]
