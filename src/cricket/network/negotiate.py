"""Version selection (CNI SPEC section 1, "Version considerations")."""

from __future__ import annotations

import asyncio

import msgspec

from cricket.errors import FailedPrecondition
from cricket.network.conf import NetworkConf
from cricket.network.plugin import Plugins


async def negotiate(conf: NetworkConf, plugins: Plugins, *, ask: bool = False) -> NetworkConf:
    """The configuration with the newest version that it declares and that all of its plugins speak.

    A configuration with a single version is returned as it is, without asking the plugins, unless `ask`. A plugin that
    does not say what it speaks is no obstacle. Raises FailedPrecondition when no version fits or a plugin is missing.
    """
    if len(conf.versions) < 2 and not ask:
        return conf
    types = conf.plugin_types()
    spoken = dict(zip(types, await asyncio.gather(*(plugins.versions(t) for t in types)), strict=True))
    known = {t: s for t, s in spoken.items() if s is not None}
    for version in conf.versions:
        if all(version in s for s in known.values()):
            return msgspec.structs.replace(conf, version=version)
    ours = ", ".join(conf.versions)
    text = "; ".join(f"{t} speaks {', '.join(sorted(s))}" for t, s in known.items())
    raise FailedPrecondition(
        f"its CNI version {ours} is not spoken by all of its plugins: {text}",
        where=conf.path,
        todo="Change cniVersion, or install newer plugins",
    )
