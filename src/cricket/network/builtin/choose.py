"""Which plugins run in this process, and the call of one.

A built-in is used when its name is in the configuration and every key of the configuration is known to it; for
anything else the executable runs. A user's own executable under a standard plugin's name cannot be told apart: who has
one sets `network.builtin_plugins` to false.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from cricket.errors import CricketError
from cricket.kernel.effects import effect
from cricket.kernel.netns_thread import in_own_thread
from cricket.network import result, versions
from cricket.network.attachment import Attachment
from cricket.network.builtin import ipam
from cricket.network.builtin.base import BAD_CONFIG, BAD_ENVIRONMENT, FAILED, Builtin, Call, Ipam, Refused
from cricket.network.plugin import PluginFailed
from cricket.network.result import Json

if TYPE_CHECKING:
    from cricket.network.plugin import Plugins

# Plugin types and the modules of this package that hold their `PLUGIN`; one that is not there is not built in.
MODULES = {
    "bandwidth": "bandwidth",
    "bridge": "bridge",
    "firewall": "firewall",
    "loopback": "loopback",
    "portmap": "portmap",
    "ptp": "ptp",
    "tuning": "tuning",
}
IPAM_MODULES = {"host-local": "host_local", "static": "static"}


def find(conf: Mapping[str, object]) -> Builtin | None:
    """The built-in for an entry of `plugins`, None when the executable must run."""
    builtin = _load(MODULES.get(str(conf.get("type")), ""))
    return builtin if builtin is not None and builtin.understands(conf) else None


def find_ipam(conf: Mapping[str, object]) -> Builtin | None:
    """The same for the `ipam` section of an entry."""
    builtin = _load(IPAM_MODULES.get(ipam_type(conf), ""))
    return builtin if builtin is not None and builtin.understands(conf) else None


def ipam_type(conf: Mapping[str, object]) -> str:
    """The IPAM plugin that an entry names, "" for none."""
    section = conf.get("ipam")
    return str(section.get("type") or "") if isinstance(section, dict) else ""


def executables(conf: Mapping[str, object]) -> tuple[str, ...]:
    """What must be installed for an entry of `plugins`: itself and its IPAM plugin, as far as they are not built in."""
    kind, own = ipam_type(conf), str(conf.get("type"))
    if find(conf) is None:
        return (own, kind) if kind else (own,)
    return (kind,) if kind and find_ipam(conf) is None else ()


def identifying(conf: Mapping[str, object]) -> str:
    """Who of an entry of `plugins` is not known to be `anonymous`, "" for nobody: the plugin, or its IPAM plugin."""
    builtin, kind = find(conf), ipam_type(conf)
    if builtin is None or not builtin.anonymous or "args" in conf:
        return f"plugin {conf.get('type')}"
    ipam_builtin = find_ipam(conf) if kind else None
    return f"plugin {kind}" if kind and (ipam_builtin is None or not ipam_builtin.anonymous) else ""


def exists(plugin_type: str) -> bool:
    """Whether there is a built-in of this name."""
    return _load(MODULES.get(plugin_type) or IPAM_MODULES.get(plugin_type, "")) is not None


@cache
def _load(name: str) -> Builtin | None:
    if not name:
        return None
    path = f"{__package__}.{name}"
    try:
        return cast(Builtin, importlib.import_module(path).PLUGIN)
    except ModuleNotFoundError as e:
        if e.name != path:
            raise
        return None


class InProcess:
    """A built-in as `plugin.Plugin`. Its errors have the codes of the executable's."""

    def __init__(self, name: str, builtin: Builtin, plugins: Plugins) -> None:
        self._name, self._builtin, self._plugins = name, builtin, plugins

    async def invoke(self, command: str, net_conf: Mapping[str, object], args: Attachment) -> object:
        """See `plugin.Plugin`."""
        call = Call(dict(net_conf), args)
        kind = ipam_type(net_conf)
        if kind:
            call = Call(dict(net_conf), args, self._ipam(kind, call))
        try:
            if command in ("ADD", "CHECK") and not args.netns:
                raise Refused(f"{command} needs a network namespace", code=BAD_ENVIRONMENT)
            answer = await self._run(command, call)
        except Refused as e:
            raise PluginFailed(self._name, command, e.code, e.msg, e.details) from e
        except PluginFailed:
            raise  # of an IPAM plugin: it names that one
        except CricketError as e:
            raise PluginFailed(self._name, command, FAILED, str(e), "") from e
        effect(f"cni {self._name} {command}")
        return answer

    def _ipam(self, kind: str, call: Call) -> Ipam:
        builtin = find_ipam(call.conf)
        if builtin is not None:
            return ipam.InProcess(builtin, call)
        return ipam.Elsewhere(self._plugins.get(kind), call, asyncio.get_running_loop())

    async def _run(self, command: str, call: Call) -> object:
        if command == "VERSION":
            return {"cniVersion": versions.NEWEST, "supportedVersions": list(versions.SUPPORTED)}
        if command == "STATUS":
            await self._status(call)
            return None
        idle = self._builtin.idle(command, call)
        if command == "ADD":
            if idle:
                return _passed_on(call)
            added = await in_own_thread(lambda: self._builtin.add(call))
            return result.convert(added, str(call.conf.get("cniVersion") or versions.UNNAMED))
        work = {"DEL": self._builtin.delete, "CHECK": self._builtin.check, "GC": self._builtin.collect}.get(command)
        if work is None:
            raise Refused(f"there is no command {command}", code=BAD_ENVIRONMENT)
        if not idle:
            await in_own_thread(lambda: work(call))
        return None

    async def _status(self, call: Call) -> None:
        kind = ipam_type(call.conf)
        if kind and find_ipam(call.conf) is None and "1.1.0" in (await self._plugins.versions(kind) or ()):
            await self._plugins.get(kind).invoke("STATUS", call.conf, call.attachment)


def _passed_on(call: Call) -> Json:
    if call.previous is None:
        raise Refused("this plugin must be chained behind another: prevResult is missing", code=BAD_CONFIG)
    return call.previous
