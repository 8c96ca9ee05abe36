"""What Cricket's daemon would find, by its own code but without it. The only module of the doctor that uses the engine.

Nothing of the host is changed: runtimes are tried in a temporary directory with a container that is never started, and
the records are read from a copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from cricket.config.check import ConfigError
from cricket.config.load import load
from cricket.config.model import Config, built_in_handlers
from cricket.errors import CricketError, DataLoss, NotFound

FEATURES = ("recursive_read_only", "user_namespaces", "idmap_mounts", "seccomp")
__all__ = ["Config", "Files", "Handler", "Known", "Networks", "Output"]
_PATIENCE = 5.0  # seconds that a program has
_OPTIONS = frozenset(("root", "state", "socket", "log.level"))


class Output(NamedTuple):
    """What a program said: its exit code, and both streams as one text."""

    code: int
    text: str


class Files(NamedTuple):
    """The configuration's files: None with the problems, or the configuration with warnings."""

    config: Config | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    files: tuple[str, ...]


class Handler(NamedTuple):
    """A runtime handler; `problem` is "" when it works, `features` says of `FEATURES` whether it has them, if known."""

    path: str
    version: str
    problem: str
    features: dict[str, bool]


class Networks(NamedTuple):
    """The network that counts ("" without one), its file, other files, broken ones with reasons, absent plugins."""

    name: str
    path: str
    others: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    plugins: tuple[dict[str, Any], ...]


class Known(NamedTuple):
    """Ids of pods and containers."""

    sandboxes: frozenset[str]
    containers: frozenset[str]


def read_config(path: str) -> Files:
    """Read and check. Never raises a CricketError: what is wrong is in it."""
    try:
        loaded = load(path)
    except ConfigError as error:
        return Files(None, tuple(str(problem) for problem in error.problems), (), ())
    except NotFound:
        raise
    except CricketError as error:
        return Files(None, (str(error),), (), ())
    return Files(loaded.config, (), loaded.warnings, loaded.files)


def config_of(told: Mapping[str, Any]) -> Config:
    """The configuration that a daemon told, or the defaults; keys of another version are left out."""
    try:
        return msgspec.convert(dict(told) or {"handlers": msgspec.to_builtins(built_in_handlers())}, Config)
    except msgspec.ValidationError:
        return Config()


def run_all(commands: Mapping[str, Sequence[str]]) -> dict[str, Output]:
    """Run the programs at once; one that cannot be started, or does not end, is left out."""
    return asyncio.run(_run_all(commands))


async def _run_all(commands: Mapping[str, Sequence[str]]) -> dict[str, Output]:
    from cricket.kernel.process import run

    async def one(argv: Sequence[str]) -> Output | None:
        try:
            done = await run(argv, timeout=_PATIENCE, limit=1 << 20)
        except CricketError:
            return None
        return Output(done.code, (done.stdout + done.stderr).decode("utf-8", "replace"))

    outputs = await asyncio.gather(*(one(argv) for argv in commands.values()))
    return {name: output for name, output in zip(commands, outputs, strict=True) if output is not None}


def handlers_of(told: Mapping[str, Any]) -> dict[str, Handler]:
    """Handlers as the daemon's verbose status has them: without the features that they have not."""
    return {
        name: Handler(h.get("path", ""), h.get("version", ""), h.get("problem", ""), {k: k in h for k in FEATURES})
        for name, h in told.items()
    }


def try_handlers(config: Config) -> dict[str, Handler]:
    """Let each runtime create a container in a temporary directory, look at it and delete it. For root."""
    from cricket.kernel.cgroup_paths import default_driver
    from cricket.oci.runtime import Runtime
    from cricket.oci.runtime_probe import probe
    from cricket.types.node import CgroupDriver

    driver = default_driver() if config.cgroup_driver == "auto" else CgroupDriver[config.cgroup_driver.upper()]
    scratch = tempfile.mkdtemp(prefix="cricket-doctor-", dir="/run")
    os.chmod(scratch, 0o711)

    async def one(name: str, path: str) -> Handler:
        runtime = Runtime(name, path, f"{scratch}/{name}", systemd_cgroup=driver is CgroupDriver.SYSTEMD)
        found = await probe(runtime, f"{scratch}/bundles-{name}")
        # Id-mapped mounts are a matter of the data's file system, on which nothing is made here.
        features = {key: getattr(found.features, key) for key in FEATURES if key != "idmap_mounts"}
        return Handler(path, found.features.version, "" if found.usable else found.reason, features)

    async def each() -> dict[str, Handler]:
        tried = await asyncio.gather(*(one(name, h.path or name) for name, h in config.handlers.items()))
        return dict(zip(config.handlers, tried, strict=True))

    try:
        return asyncio.run(each())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def networks(config: Config) -> Networks:
    """Read the CNI configurations, and look for the plugins of the one that counts."""
    from cricket.network.conf import load as load_networks
    from cricket.network.plugin import Plugins

    loaded = load_networks(config.network.conf_dirs)
    conf = loaded.default(config.network.default_network)
    others = tuple(n.path for n in loaded.networks if n is not conf)
    if conf is None:
        return Networks("", "", others, loaded.broken, (), ())
    plugins = Plugins(config.network.bin_dirs, builtin=config.network.builtin_plugins)
    entries = tuple(dict(plugin) for plugin in conf.plugins)
    return Networks(conf.name, conf.path, others, loaded.broken, plugins.missing(conf), entries)


def recorded(root: str) -> Known:
    """The ids in the daemon's records, read from a copy: opening the file itself would write beside it."""
    import sqlite3

    database = f"{root}/state.db"
    if not os.path.exists(database):
        return Known(frozenset(), frozenset())
    with tempfile.TemporaryDirectory(prefix="cricket-doctor-") as copy:
        for suffix in ("", "-wal"):
            if os.path.exists(database + suffix):
                shutil.copyfile(database + suffix, f"{copy}/state.db{suffix}")
        connection = sqlite3.connect(f"{copy}/state.db")
        try:
            rows = connection.execute("SELECT id, kind FROM records").fetchall()
        except sqlite3.DatabaseError as error:
            raise DataLoss("the state database cannot be read", where=database) from error
        finally:
            connection.close()
    kinds = {kind: frozenset(key for key, its in rows if its == kind) for kind in ("sandbox", "container")}
    return Known(kinds["sandbox"], kinds["container"])


def changed(told: Mapping[str, Any], config: Config) -> list[str]:
    """The dotted keys in which a daemon's configuration is not that of the files, but for options of `serve`."""
    from cricket.config.merge import flatten

    theirs, ours = (flatten(msgspec.json.decode(msgspec.json.encode(value))) for value in (dict(told), config))
    return sorted(key for key in ours if key in theirs and theirs[key] != ours[key] and key not in _OPTIONS)
