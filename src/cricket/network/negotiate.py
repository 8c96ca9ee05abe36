"""Version selection (CNI SPEC section 1, "Version considerations")."""

from __future__ import annotations

import asyncio

import msgspec

from cricket.errors import FailedPrecondition
from cricket.network import versions
from cricket.network.conf import NetworkConf
from cricket.network.plugin import Plugins


async def negotiate(conf: NetworkConf, plugins: Plugins) -> NetworkConf:
    """The configuration with the newest version that it declares and that all of its plugins speak.

    A configuration with a single version is returned as it is, without asking the plugins. Raises FailedPrecondition
    when no version fits or a plugin is missing.
    """
    if len(conf.versions) < 2:
        return conf
    types = conf.plugin_types()
    spoken = await asyncio.gather(*(plugins.versions(t) for t in types))
    for version in conf.versions:
        if all(version in s for s in spoken):
            return msgspec.structs.replace(conf, version=version)
    text = "; ".join(f"{t} speaks {', '.join(sorted(s, key=versions.key))}" for t, s in zip(types, spoken, strict=True))
    raise FailedPrecondition(
        f"no CNI version of network {conf.name} ({', '.join(conf.versions)}) is spoken by all plugins: {text}",
        where=conf.path,
    )
