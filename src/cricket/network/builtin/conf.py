"""Configurations as strict values: a key that is not here, or a value of another kind, makes a built-in step aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from cricket.network.result import Json

T = TypeVar("T", bound="PluginConf")


class Dns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `dns` section of a configuration or result."""

    nameservers: list[str] = []
    domain: str = ""
    search: list[str] = []
    options: list[str] = []


class CniArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`args.cni` (CNI CONVENTIONS.md): what the plugins here know of it."""

    mac: str = ""
    ips: list[str] = []


class Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `args` section."""

    cni: CniArgs = CniArgs()


class PluginConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys that every plugin has. `prevResult` and `runtimeConfig` are looked at where they are used."""

    type: str
    name: str = ""
    cniVersion: str = ""
    capabilities: dict[str, bool] = {}
    prevResult: Json | None = None
    runtimeConfig: Json = {}
    dns: Dns = Dns()


def parse(conf: Mapping[str, object], kind: type[T], capabilities: frozenset[str] = frozenset()) -> T | None:
    """The configuration as `kind`, None when it holds what `kind` or the set of known capabilities does not."""
    plain = {k: v for k, v in conf.items() if not k.startswith("cni.dev/")}
    try:
        value = msgspec.convert(plain, kind)
    except msgspec.ValidationError:
        return None
    return value if capabilities.issuperset(value.capabilities) else None
