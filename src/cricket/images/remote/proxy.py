"""HTTP proxies from the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), with Go's rules, which peers follow."""

from __future__ import annotations

import base64
import os
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from cricket.errors import FailedPrecondition
from cricket.images.remote.endpoint import is_loopback


class Proxy(msgspec.Struct, frozen=True):
    """An http proxy; `authorization` is the value of Proxy-Authorization or ""."""

    host: str
    port: int
    authorization: str = ""


def find_proxy(url: SplitResult) -> Proxy | None:
    """The proxy for a URL, None to connect directly. Raises FailedPrecondition for a proxy that cannot be used."""
    variable = f"{url.scheme}_proxy"
    text = os.environ.get(variable.upper()) or os.environ.get(variable) or ""
    if not text or not url.hostname or _is_direct(url.hostname, url.port):
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http" or not parts.hostname:
        raise FailedPrecondition("only http proxies are supported", where=variable.upper())
    authorization = ""
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(secret.encode()).decode()
    return Proxy(parts.hostname, parts.port or 80, authorization)


def _is_direct(host: str, port: int | None) -> bool:
    if is_loopback(host) or host == "::1":
        return True
    for item in (os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "").split(","):
        rule = item.strip().lower()
        if rule and (rule == "*" or _matches(rule, host, port)):
            return True
    return False


def _matches(rule: str, host: str, port: int | None) -> bool:
    if "/" in rule:
        import ipaddress  # only who writes networks pays for it

        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdecimal() and name.count(":") == 0:
        if port is not None and str(port) != wanted:
            return False
        rule = name
    rule = rule.removeprefix("*")
    return host == rule.removeprefix(".") or host.endswith(rule if rule.startswith(".") else f".{rule}")
