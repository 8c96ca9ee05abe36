"""IPAM for the plugins that make interfaces: in this process where it can be, else by its executable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from cricket.network import result, versions
from cricket.network.builtin.addresses import IpConf, pack, parse_cidr
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.result import Json

if TYPE_CHECKING:
    from cricket.network.plugin import Plugin


class InProcess:
    """A built-in one; see `base.Ipam`."""

    def __init__(self, builtin: Builtin, call: Call) -> None:
        self._builtin, self._call = builtin, call

    def add(self) -> Json:
        """See `base.Ipam`."""
        return self._builtin.add(self._call)

    def delete(self) -> None:
        """See `base.Ipam`."""
        self._builtin.delete(self._call)

    def check(self) -> None:
        """See `base.Ipam`."""
        self._builtin.check(self._call)


class Elsewhere:
    """Another plugin, called on the event loop while this thread waits; see `base.Ipam`."""

    def __init__(self, plugin: Plugin, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self._plugin, self._call, self._loop = plugin, call, loop

    def add(self) -> Json:
        """See `base.Ipam`."""
        version = str(self._call.conf.get("cniVersion") or versions.UNNAMED)
        return result.convert(result.check(self._invoke("ADD"), version), versions.NEWEST)

    def delete(self) -> None:
        """See `base.Ipam`."""
        self._invoke("DEL")

    def check(self) -> None:
        """See `base.Ipam`."""
        self._invoke("CHECK")

    def _invoke(self, command: str) -> object:
        work = self._plugin.invoke(command, self._call.conf, self._call.attachment)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Given(msgspec.Struct, frozen=True):
    """What IPAM gave: addresses, and routes and DNS as they stand in its result."""

    ips: list[IpConf]
    routes: list[Json]
    dns: Json


def given(call: Call) -> Given | None:
    """Ask IPAM, where there is one; what it reserved is released when it gave no address. Raises Refused."""
    if call.ipam is None:
        return None
    answer = call.ipam.add()
    try:
        ips = [_ip(i) for i in _list(answer, "ips")]
        if not ips:
            raise Refused("the IPAM plugin gave no address")
    except BaseException:
        call.ipam.delete()
        raise
    dns = answer.get("dns")
    return Given(ips, _list(answer, "routes"), dns if isinstance(dns, dict) else {})


def _ip(item: Json) -> IpConf:
    return IpConf(parse_cidr(item.get("address")), pack(item["gateway"]) if item.get("gateway") else b"")


def _list(answer: Json, key: str) -> list[Json]:
    found = answer.get(key)
    return [i for i in found if isinstance(i, dict)] if isinstance(found, list) else []
