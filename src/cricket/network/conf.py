"""Network configurations (CNI SPEC section 1): parse one, load directories of them.

Which file counts: all `*.conflist`, `*.conf` and `*.json` files of the first directory by name, then those of the next
directory. The first that parses is the default network (or the first with the configured name). A broken file is
remembered for `cricket status` and does not hide later ones, as in CRI-O; containerd would refuse to go on. A file
whose plugins are not installed is not broken: falling through to another network would start pods on the wrong one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from cricket.errors import CricketError, InvalidArgument, map_errors
from cricket.network import names, versions
from cricket.network.result import Json

T = TypeVar("T")

EXTENSIONS = (".conflist", ".conf", ".json")
_LARGEST = 1 << 20
_LONGEST_ERROR = 300


class NetworkConf(msgspec.Struct, frozen=True):
    """One network: a list of plugins.

    `versions` are those that the file declares and that we speak, newest first; `version` the one in use (the newest,
    until `negotiate` looks at what the plugins speak). `raw` is the whole configuration as JSON, with the plugins of
    the sibling directory inlined, so that it can be undone without the files; `path` is where it was read from.
    """

    name: str
    version: str
    versions: tuple[str, ...]
    plugins: tuple[Json, ...]
    raw: bytes
    path: str = ""
    disable_check: bool = False
    disable_gc: bool = False

    def plugin_types(self) -> tuple[str, ...]:
        """The executables that it needs, those of IPAM included, in order."""
        found: list[str] = []
        for plugin in self.plugins:
            ipam = plugin.get("ipam")
            inner = ipam.get("type") if isinstance(ipam, dict) else None
            found += [str(t) for t in (plugin["type"], inner) if t]
        return tuple(dict.fromkeys(found))


class Loaded(msgspec.Struct, frozen=True):
    """What the directories hold: networks in order, and for each broken file the reason."""

    networks: tuple[NetworkConf, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()

    def default(self, name: str = "") -> NetworkConf | None:
        """The first network, or the first that has this name."""
        return next((n for n in self.networks if not name or n.name == name), None)


def load(directories: Iterable[str]) -> Loaded:
    """Read the directories; a missing one is empty. Blocks for the reading of small files; raises nothing."""
    networks: list[NetworkConf] = []
    broken: list[tuple[str, str]] = []
    for directory in directories:
        try:
            entries = sorted(e for e in os.listdir(directory) if os.path.splitext(e)[1] in EXTENSIONS)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as e:
            broken.append((directory, str(e.strerror)))
            continue
        for entry in entries:
            path = os.path.join(directory, entry)
            try:
                networks.append(load_file(path))
            except CricketError as e:
                broken.append((path, str(e)[:_LONGEST_ERROR]))
    return Loaded(tuple(networks), tuple(broken))


def load_file(path: str) -> NetworkConf:
    """One file with the plugins of its sibling directory `<name>/*.conf`. Raises InvalidArgument with file and key."""
    conf = parse(_read(path), path)
    body = msgspec.json.decode(conf.raw, type=dict[str, object])
    if _flag(body, "loadOnlyInlinedPlugins", path):
        return conf
    directory = os.path.join(os.path.dirname(path), conf.name)
    try:
        entries = sorted(e for e in os.listdir(directory) if e.endswith(".conf"))
    except OSError:
        entries = []
    extra = []
    for entry in entries:
        file = os.path.join(directory, entry)
        extra.append(_plugin(_decode(_read(file), file), file, ""))
    if not extra and not conf.plugins:
        raise InvalidArgument("no plugins: there is no key `plugins` and no file beside it", where=path)
    if not extra:
        return conf
    plugins = (*conf.plugins, *extra)
    raw = msgspec.json.encode({**body, "plugins": plugins, "loadOnlyInlinedPlugins": True})
    return msgspec.structs.replace(conf, plugins=plugins, raw=raw)


def parse(data: bytes, where: str) -> NetworkConf:
    """A configuration list, or a single configuration wrapped to a list. Raises InvalidArgument with `where` and key.

    A list without the key `plugins` is allowed here, as its plugins may be in the sibling directory.
    """
    body = _decode(data, where)
    single = "type" in body and "plugins" not in body
    if single:
        keys = ("name", "cniVersion", "cniVersions")
        body = {**{k: body[k] for k in keys if k in body}, "plugins": [body]}
    name = body.get("name")
    if not isinstance(name, str):
        raise InvalidArgument("the key `name` is missing or no string", where=where)
    _located("name", where, names.check_word, name, "the network name")
    found = _versions(body, where)
    raw_plugins = body.get("plugins")
    if "plugins" not in body:
        if _flag(body, "loadOnlyInlinedPlugins", where):
            raise InvalidArgument("`loadOnlyInlinedPlugins` is true, but there is no key `plugins`", where=where)
        raw_plugins = []
    elif not isinstance(raw_plugins, list) or not raw_plugins:
        raise InvalidArgument("the key `plugins` must be a list with at least one plugin", where=where)
    plugins = tuple(_plugin(p, where, f"plugins[{i}].") for i, p in enumerate(raw_plugins or ()))
    return NetworkConf(
        name=name,
        version=found[0],
        versions=found,
        plugins=plugins,
        raw=msgspec.json.encode(body) if single else data,
        path=where,
        disable_check=_flag(body, "disableCheck", where),
        disable_gc=_flag(body, "disableGC", where),
    )


def _read(path: str) -> bytes:
    with map_errors(OSError, InvalidArgument, "cannot read the network configuration", where=path):
        # Not to be held up by a FIFO or device that was put there.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as f:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InvalidArgument("not a regular file", where=path)
            data = f.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise InvalidArgument(f"larger than {_LARGEST} bytes", where=path)
    return data


def _decode(data: bytes, where: str) -> Json:
    with map_errors((msgspec.MsgspecError, RecursionError, ValueError), InvalidArgument, "not valid JSON", where=where):
        body: object = msgspec.json.decode(data)
    if not isinstance(body, dict):
        raise InvalidArgument("not a JSON object", where=where)
    return body


def _versions(body: Json, where: str) -> tuple[str, ...]:
    one, many = body.get("cniVersion", ""), body.get("cniVersions", [])
    if not isinstance(one, str):
        raise InvalidArgument("the key `cniVersion` is no string", where=where)
    if not isinstance(many, list) or not all(isinstance(v, str) for v in many):
        raise InvalidArgument("the key `cniVersions` is no list of strings", where=where)
    named = [v for v in (one, *many) if v] or [versions.UNNAMED]
    found = _located("cniVersion` or `cniVersions", where, versions.candidates, named)
    if not found:
        text = ", ".join(named)
        raise InvalidArgument(
            f"CNI version {text} is not spoken here", where=where, todo=f"Use one of {', '.join(versions.SUPPORTED)}"
        )
    return found


def _plugin(body: object, where: str, prefix: str) -> Json:
    if not isinstance(body, dict):
        raise InvalidArgument(f"{prefix.rstrip('.')} is not a JSON object", where=where)
    _located(f"{prefix}type", where, names.check_plugin, body.get("type"))
    ipam = body.get("ipam")
    if isinstance(ipam, dict) and ipam.get("type"):
        _located(f"{prefix}ipam.type", where, names.check_plugin, ipam["type"])
    capabilities = body.get("capabilities", {})
    if not isinstance(capabilities, dict) or not all(isinstance(v, bool) for v in capabilities.values()):
        raise InvalidArgument(f"the key `{prefix}capabilities` must map names to true or false", where=where)
    return body


def _located(key: str, where: str, test: Callable[..., T], *args: object) -> T:
    """Run a check that knows neither file nor key, and name both in what it raises."""
    try:
        return test(*args)
    except InvalidArgument as e:
        raise InvalidArgument(f"the key `{key}`: {e.what}", where=where, todo=e.todo) from None


def _flag(body: Json, key: str, where: str) -> bool:
    value = body.get(key, False)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise InvalidArgument(f"the key `{key}` must be true or false", where=where)
    return value
