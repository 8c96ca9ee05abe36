"""Validation of the merged configuration: values that depend on each other or have a form of their own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from cricket.config.check import Problem
from cricket.config.model import Config

_ULIMIT = re.compile(r"[a-z]+=(-1|\d+)(:(-1|\d+))?")
_CAPABILITY = re.compile(r"(?!CAP_)[A-Z][A-Z_0-9]*")
# sun_path of unix(7) has 108 bytes with the final NUL.
_SOCKET_PATH_MAX = 107


def check_whole(config: Config, origin: Callable[[str], str]) -> tuple[list[Problem], list[str]]:
    """Problems and warnings of a configuration whose values have the right types; `origin` gives a key's file."""
    problems = [Problem(origin(key), key, text) for key, text in _problems(config)]
    if problems:
        return problems, []
    return [], [f"{origin(key)}: {key}: {text}" for key, text in _warnings(config)]


def _problems(config: Config) -> Iterator[tuple[str, str]]:
    for name, handler in config.handlers.items():
        if not handler.path:
            yield f"handlers.{name}.path", "is missing; a handler needs the path of its runtime"
    if config.default_handler not in ("auto", *config.handlers):
        yield "default_handler", f"no handler is called {config.default_handler!r}; there are {_names(config)}"
    if config.root == config.state:
        yield "state", "must not be the same directory as root"
    for key, path in (("socket", config.socket), ("nri.socket", config.nri.socket)):
        if len(path.encode()) > _SOCKET_PATH_MAX:
            yield key, f"is too long for a socket: {len(path.encode())} bytes of at most {_SOCKET_PATH_MAX}"
    yield from _streaming(config)
    if config.metrics.address and not _is_host_port(config.metrics.address):
        yield "metrics.address", f"should be host:port, is {config.metrics.address!r}"
    for text in config.limits.ulimits:
        if not _ULIMIT.fullmatch(text):
            yield "limits.ulimits", f"should be like nofile=1024:4096, is {text!r}"
    for text in config.security.default_capabilities:
        if not _CAPABILITY.fullmatch(text):
            yield "security.default_capabilities", f"should be like NET_RAW, without CAP_, is {text!r}"


def _streaming(config: Config) -> Iterator[tuple[str, str]]:
    streaming = config.streaming
    if bool(streaming.tls_cert) != bool(streaming.tls_key):
        missing = "tls_key" if streaming.tls_cert else "tls_cert"
        yield f"streaming.{missing}", "is missing; TLS needs both the certificate and its key"
    try:
        ipaddress.ip_address(streaming.address)
    except ValueError:
        yield "streaming.address", f"should be an IP address, is {streaming.address!r}"
    if streaming.base_url and not re.match(r"https?://[^/]", streaming.base_url):
        yield "streaming.base_url", f"should begin with http:// or https:// and a host, is {streaming.base_url!r}"


def _warnings(config: Config) -> Iterator[tuple[str, str]]:
    address = ipaddress.ip_address(config.streaming.address)
    if not address.is_loopback and not config.streaming.tls_cert:
        yield "streaming.address", "exec and attach are served to the network without TLS"
    for key, paths in (("network.conf_dirs", config.network.conf_dirs), ("network.bin_dirs", config.network.bin_dirs)):
        if not paths:
            yield key, "is empty: no pod network can be set up"


def _is_host_port(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def _names(config: Config) -> str:
    return ", ".join(sorted(config.handlers))
