"""Runtime handlers: which OCI runtimes this host can run, what each can do, and which one is the default."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from cricket.config.model import Config
from cricket.config.model import Handler as HandlerConfig
from cricket.errors import CricketError, FailedPrecondition, InvalidArgument
from cricket.kernel.cgroup_paths import default_driver
from cricket.oci import probe_cache
from cricket.oci.inputs import HandlerSettings, RuntimeFeatures
from cricket.oci.runtime import Runtime
from cricket.oci.runtime_probe import probe, sweep
from cricket.types.node import CgroupDriver, HandlerInfo

log = logging.getLogger(__name__)
_PREFERENCE = ("crun", "runc")


class Handler(msgspec.Struct, frozen=True):
    """A handler as configured and probed; `problem` says why it cannot be used, "" when it can."""

    name: str
    runtime: Runtime
    features: RuntimeFeatures
    config: HandlerConfig
    problem: str = ""


class Handlers:
    """All configured handlers. `probe` must have run before the others are asked."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._handlers: dict[str, Handler] = {}
        self._default = ""
        self.cgroup_driver = {
            "auto": default_driver(),
            "cgroupfs": CgroupDriver.CGROUPFS,
            "systemd": CgroupDriver.SYSTEMD,
        }[config.cgroup_driver]

    async def probe(self) -> None:
        """Find out what the host can run, all handlers at once. Never fails: problems are kept per handler."""
        names = list(self.config.handlers)
        found = await asyncio.gather(*(self._probe(name, self.config.handlers[name]) for name in names))
        self._handlers = {handler.name: handler for handler in found}
        self._default = self._choose_default()

    async def _probe(self, name: str, config: HandlerConfig) -> Handler:
        root = config.root or f"{self.config.state}/runtime/{name}"
        runtime = Runtime(name, config.path or name, root, systemd_cgroup=self.cgroup_driver is CgroupDriver.SYSTEMD)
        places = (f"{self.config.state}/probe/{name}", f"{self.config.root}/probe/{name}")
        remembered = f"{self.config.state}/probe/{name}.json"
        await _sweep(runtime, places)
        found = probe_cache.load(remembered, runtime, *places)
        if found is None:
            found = await probe(runtime, *places)
            probe_cache.save(remembered, runtime, found, *places)
        return Handler(name, runtime, found.features, config, problem="" if found.usable else found.reason)

    def _choose_default(self) -> str:
        wanted = self.config.default_handler
        if wanted != "auto":
            return wanted
        usable = [name for name in (*_PREFERENCE, *self._handlers) if name in self._handlers]
        return next((name for name in usable if not self._handlers[name].problem), usable[0] if usable else "")

    @property
    def default(self) -> str:
        """The name of the handler for requests that name none."""
        return self._default

    def resolve(self, name: str) -> Handler:
        """The handler that a request means. Raises InvalidArgument when unknown, FailedPrecondition when broken."""
        handler = self._handlers.get(name or self._default)
        if handler is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            raise InvalidArgument(f"unknown runtime handler {name!r}", todo=f"This node has: {known}.")
        if handler.problem:
            raise FailedPrecondition(f"runtime handler {handler.name} cannot be used here: {handler.problem}")
        return handler

    def of(self, name: str) -> Handler:
        """The handler of an existing object, broken or not. Raises FailedPrecondition when it is gone."""
        handler = self._handlers.get(name)
        if handler is None:
            raise FailedPrecondition(
                f"runtime handler {name!r} is no longer configured", todo=f"Put [handlers.{name}] back and restart."
            )
        return handler

    def settings(self, handler: Handler) -> HandlerSettings:
        """What shapes the specs of this handler."""
        config = self.config
        return HandlerSettings(
            features=handler.features,
            cgroup_driver=self.cgroup_driver,
            pod_annotations=handler.config.allowed_annotations,
            container_annotations=handler.config.container_annotations,
            privileged_without_host_devices=handler.config.privileged_without_host_devices,
            default_capabilities=config.security.default_capabilities,
            rlimits=parse_ulimits(config.limits.ulimits),
            pids_limit=config.limits.pids,
            apparmor_profile=config.apparmor.profile,
            selinux=config.security.selinux,
        )

    def all(self) -> list[Handler]:
        """Every configured handler."""
        return list(self._handlers.values())

    def infos(self) -> tuple[HandlerInfo, ...]:
        """For CRI Status: the default under the name "" as well, and all that can be used."""
        infos = [_info(h.name, h) for h in self._handlers.values() if not h.problem]
        default = self._handlers.get(self._default)
        if default is not None and not default.problem:
            infos.insert(0, _info("", default))
        return tuple(infos)


async def _sweep(runtime: Runtime, places: tuple[str, str]) -> None:
    try:
        await sweep(runtime, *places)
    except CricketError as error:
        log.warning("what an interrupted probe of %s has left cannot be removed: %s", runtime.name, error)


def _info(name: str, handler: Handler) -> HandlerInfo:
    return HandlerInfo(
        name=name,
        recursive_read_only_mounts=handler.features.recursive_read_only,
        user_namespaces=handler.features.user_namespaces,
    )


def parse_ulimits(limits: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """("nofile=1024:4096",) -> {"RLIMIT_NOFILE": (1024, 4096)}; the configuration has checked the form."""
    result = {}
    for limit in limits:
        name, _, values = limit.partition("=")
        soft, _, hard = values.partition(":")
        result[f"RLIMIT_{name.upper()}"] = (int(soft), int(hard or soft))
    return result
