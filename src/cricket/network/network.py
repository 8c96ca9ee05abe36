"""The pod network as lifecycle sees it: set up, tear down, check, collect, and say whether it is ready."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence

import msgspec

from cricket.errors import CricketError, FailedPrecondition, NotFound, map_errors
from cricket.kernel.files import atomic_write, make_dir
from cricket.kernel.netns_thread import in_own_thread
from cricket.network import attach, cache, check, detach, gc, loopback, pod_args, result, template, warm
from cricket.network.attachment import Attachment
from cricket.network.conf import NetworkConf, parse
from cricket.network.gate import Gate
from cricket.network.negotiate import negotiate
from cricket.network.plugin import TIMEOUT, Plugins
from cricket.network.readiness import Readiness
from cricket.network.result import Json
from cricket.types.node import Condition
from cricket.types.sandbox import SandboxConfig
from cricket.types.security import NamespaceMode

log = logging.getLogger(__name__)

CACHE_DIR = "/var/lib/cni"  # libcni's
TEMPLATE_FILE = "10-cricket-pod-cidr.conflist"
_STATUS_SECONDS = 20.0


class NetworkResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sandbox got: addresses with the primary first, the network's name, and the CNI result as it was."""

    ips: tuple[str, ...] = ()
    network: str = ""
    result: Json = {}


class Network:
    """CNI networks of this node. Operations on different sandboxes run at once; GC runs alone.

    `ip_preference` chooses the primary address: "cni" (the plugin's first), "ipv4" or "ipv6". With `builtin_plugins`
    standard plugins run in this process where it understands their configuration.
    """

    def __init__(
        self,
        conf_dirs: Sequence[str],
        bin_dirs: Sequence[str],
        cache_dir: str = CACHE_DIR,
        *,
        default_network: str = "",
        conf_template: str = "",
        plugin_timeout: float = TIMEOUT,
        ip_preference: str = "cni",
        status_interval: float = _STATUS_SECONDS,
        builtin_plugins: bool = True,
    ) -> None:
        self._plugins = Plugins(bin_dirs, plugin_timeout, builtin=builtin_plugins)
        self._ready = Readiness(conf_dirs, self._plugins, default_network, status_interval)
        self._cache_dir, self._template, self._preference = cache_dir, conf_template, ip_preference
        self._gate = Gate()
        self._pod_cidrs: tuple[str, ...] = ()
        self._terms: tuple[object, warm.Terms | warm.Unsafe] = (None, warm.Unsafe(""))

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called on the loop when the default network is another one; it must not raise."""
        self._ready.on_changed = changed

    def start_watch(self) -> None:
        """Load the configurations and follow their directories. Needs a running loop; blocks for small files."""
        self._ready.start()

    def stop_watch(self) -> None:
        """Stop following. Idempotent."""
        self._ready.stop()

    def reconfigure(
        self,
        conf_dirs: Sequence[str],
        bin_dirs: Sequence[str],
        *,
        default_network: str = "",
        conf_template: str = "",
        plugin_timeout: float = TIMEOUT,
        builtin_plugins: bool = True,
    ) -> None:
        """Take changed settings; what runs goes on with the old ones."""
        self._plugins, self._template = Plugins(bin_dirs, plugin_timeout, builtin=builtin_plugins), conf_template
        self._ready.reconfigure(conf_dirs, self._plugins, default_network)

    def condition(self) -> Condition:
        """The condition NetworkReady; reads memory and whether plugin files exist."""
        return self._ready.condition()

    def describe(self) -> dict[str, object]:
        """For verbose status: the default network, and the files that were left out with their reasons."""
        conf = self._ready.default()
        return {
            "network": conf.name if conf else "",
            "file": conf.path if conf else "",
            "config": msgspec.Raw(conf.raw) if conf else None,
            "inProcess": self.in_process(),
            "others": [n.path for n in self._ready.loaded.networks if n is not conf],
            "broken": dict(self._ready.loaded.broken),
            "podCidrs": self._pod_cidrs,
        }

    def in_process(self) -> tuple[str, ...]:
        """The plugins of the default network that run inside the daemon."""
        conf = self._ready.default()
        return self._plugins.in_process(conf) if conf else ()

    async def setup(self, sandbox_id: str, netns: str, config: SandboxConfig) -> NetworkResult:
        """Bring up loopback and attach the sandbox to the default network.

        With `netns` "" (the host's network) it does nothing. What an earlier attempt left is taken down first; on
        failure nothing stays. Raises Unavailable without a network, InvalidArgument for annotations or ports that
        cannot be met, PluginFailed and other CricketError kinds.
        """
        if not netns or _on_host(config):
            return NetworkResult()
        args = pod_args.cni_args(sandbox_id, config)
        capabilities = pod_args.capabilities(config, self._pod_cidrs)
        conf = await self._ready.current()
        attachment = Attachment(sandbox_id, netns, args=args, capabilities=capabilities)
        return await self._attach(conf, attachment)

    async def _attach(self, conf: NetworkConf, attachment: Attachment) -> NetworkResult:
        sandbox_id, netns = attachment.container_id, attachment.netns
        async with self._gate.container(sandbox_id):
            for entry in await in_own_thread(lambda: _prepare(netns, self._cache_dir, sandbox_id)):
                await detach.detach_entry(entry, netns, conf, self._plugins, self._cache_dir)
            answer = await attach.attach(conf, attachment, self._plugins, self._cache_dir)
            ips = result.order(result.pod_addresses(answer, attachment.ifname), self._preference)
            if not ips:
                await detach.detach_with(conf, attachment, answer, self._plugins, self._cache_dir)
                what = f"network {conf.name} gave {attachment.ifname} no address"
                raise FailedPrecondition(what, where=sandbox_id, todo="Give a plugin of it an `ipam` section")
        return NetworkResult(ips, conf.name, answer)

    async def warm_terms(self) -> warm.Terms | warm.Unsafe:
        """Whether the default network is one for warm attachments, and on what terms; decided anew when it changes.

        Raises Unavailable without a network, FailedPrecondition.
        """
        conf = await self._ready.current()
        basis = (conf, self._plugins, self._pod_cidrs)
        if self._terms[0] != basis:
            self._terms = basis, warm.terms(*basis)
        return self._terms[1]

    async def setup_warm(self, sandbox_id: str, netns: str, terms: warm.Terms) -> NetworkResult:
        """As `setup`, for a sandbox of which nothing but the id is known; `teardown` undoes it, before and after."""
        args = (("IgnoreUnknown", "1"), ("K8S_POD_INFRA_CONTAINER_ID", sandbox_id))
        return await self._attach(terms.conf, Attachment(sandbox_id, netns, args=args, capabilities=terms.capabilities))

    def fits(self, config: SandboxConfig, terms: warm.Terms) -> bool:
        """Whether a warm attachment is what `setup` would make for this pod."""
        return not _on_host(config) and warm.fits(config, terms, self._pod_cidrs)

    async def teardown(self, sandbox_id: str, netns: str, config: SandboxConfig | None) -> None:
        """Detach the sandbox from everything. Idempotent.

        Works after a restart, when the namespace is gone (`netns` may then be any path or ""), when the configuration
        has changed since, and without a cached result by the present default network. Raises CricketError kinds; what
        could not be undone is tried again by the next call.
        """
        if config is not None and _on_host(config):
            return
        known = Attachment(sandbox_id, netns)
        if config is not None:
            try:
                args = pod_args.cni_args(sandbox_id, config)
                known = Attachment(sandbox_id, netns, args=args, capabilities=pod_args.capabilities(config))
            except CricketError:
                pass  # then ADD was refused for the same reason, and there is nothing that needs them
        async with self._gate.container(sandbox_id):
            fallback = await self._fallback()
            await detach.detach(sandbox_id, netns, fallback, known, self._plugins, self._cache_dir)

    async def check(self, sandbox_id: str, netns: str, config: SandboxConfig) -> None:
        """CHECK every attachment and the loopback. Raises NotFound when there is none, PluginFailed when one is off."""
        if not netns or _on_host(config):
            return
        async with self._gate.container(sandbox_id):
            await loopback.check(netns)
            entries = await asyncio.to_thread(cache.read, self._cache_dir, sandbox_id)
            if not entries:
                raise NotFound("the sandbox is attached to no network", where=sandbox_id)
            for entry in entries:
                await check.check_entry(entry, netns, self._plugins)

    async def gc(self, valid: Iterable[tuple[str, str]]) -> None:
        """Take down our attachments that are not in `valid` (sandbox id, interface name), and let the plugins clean up.

        Waits until no setup or teardown runs, and holds new ones back meanwhile. Raises Internal with all failures.
        """
        wanted = tuple(valid)
        async with self._gate.alone():
            await gc.collect(wanted, await self._fallback(), self._plugins, self._cache_dir)

    async def update_pod_cidr(self, pod_cidr: str) -> None:
        """Take the kubelet's pod CIDR ("10.1.0.0/24,fd00::/64"; "" changes nothing).

        It becomes the capability `ipRanges`. With a template, and unless another file makes the network ready, it is
        written to the first configuration directory. Raises InvalidArgument for what is no CIDR or a bad template.
        """
        cidrs = tuple(c.strip() for c in pod_cidr.split(",") if c.strip())
        if not cidrs:
            return
        scope = template.values(cidrs)
        self._pod_cidrs = cidrs
        self._ready.on_changed()
        if self._template:
            await asyncio.to_thread(self._write_template, scope)

    def _write_template(self, scope: template.Scope) -> None:
        path = os.path.join(self._ready.conf_dirs[0], TEMPLATE_FILE)
        conf = self._ready.default()
        if conf is not None and conf.path != path:
            log.info("network %s (%s) is in place, so the template is not used", conf.name, conf.path)
            return
        where = self._template
        with (
            map_errors((OSError, ValueError), FailedPrecondition, "cannot read the template", where=where),
            open(where, encoding="utf-8") as f,
        ):
            text = f.read()
        data = template.render(text, scope, where).encode()
        parse(data, where)
        make_dir(self._ready.conf_dirs[0])
        atomic_write(path, data)

    async def _fallback(self) -> NetworkConf | None:
        """The default network for undoing what the cache does not know; never a reason to fail."""
        conf = self._ready.default()
        if conf is None:
            return None
        try:
            return await negotiate(conf, self._plugins)
        except CricketError:
            return conf


def _prepare(netns: str, cache_dir: str, sandbox_id: str) -> list[cache.Entry]:
    """Bring up loopback; what an earlier attempt left. Together, as each way into a thread costs time."""
    loopback.bring_up(netns)
    return cache.read(cache_dir, sandbox_id)


def _on_host(config: SandboxConfig) -> bool:
    return config.security.namespaces.network == NamespaceMode.NODE
