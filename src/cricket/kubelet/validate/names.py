"""Forms of names."""

from __future__ import annotations

import ipaddress
import re

from cricket.kubelet.manifest.finding import Finding, Findings, Path

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PORT_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ENV_NAME = re.compile(r"[\x20-\x3c\x3e-\x7e]+")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")


def label(path: Path, value: str) -> Findings:
    """DNS-1123 label: names of containers and volumes, hostnames."""
    if not value:
        yield Finding(path, "required value")
    elif len(value) > 63 or not _LABEL.fullmatch(value):
        yield Finding(path, f'"{value}" is no DNS label: at most 63 of a-z, 0-9 and -, which may not begin or end it')


def subdomain(path: Path, value: str) -> Findings:
    """DNS-1123 subdomain: names of objects."""
    if not value:
        yield Finding(path, "required value")
    elif len(value) > 253 or not _SUBDOMAIN.fullmatch(value):
        yield Finding(
            path, f'"{value}" is no DNS name: at most 253 of a-z, 0-9, - and ., which may not begin or end it'
        )


def port_name(path: Path, value: str) -> Findings:
    """An IANA service name."""
    if len(value) > 15 or not _PORT_NAME.fullmatch(value) or value.isdigit():
        yield Finding(path, f'"{value}" is no port name: at most 15 of a-z, 0-9 and single -, with a letter')


def env_name(path: Path, value: str) -> Findings:
    """Any printable ASCII but "="."""
    if not value:
        yield Finding(path, "required value")
    elif not _ENV_NAME.fullmatch(value):
        yield Finding(path, f'"{value}" is no name of a variable: printable ASCII without "="')


def is_env_name(value: str) -> bool:
    """Whether a key of a ConfigMap can be a variable."""
    return _ENV_NAME.fullmatch(value) is not None


def config_key(path: Path, value: str) -> Findings:
    """A key of a ConfigMap or Secret: it becomes a file's name."""
    if len(value) > 253 or not _CONFIG_KEY.fullmatch(value) or value.startswith("..") or value == ".":
        yield Finding(path, f'"{value}" is no key: at most 253 letters, digits, -, _ and ., not beginning with ".."')


def label_map(path: Path, values: dict[str, str]) -> Findings:
    """Labels: qualified names with short values."""
    for key, value in values.items():
        yield from _qualified((*path, key), key)
        if value and (len(value) > 63 or not _NAME_PART.fullmatch(value)):
            text = f'"{value}" is no label value: at most 63 letters, digits, -, _ and ., letters or digits at its ends'
            yield Finding((*path, key), text)


def annotation_map(path: Path, values: dict[str, str]) -> Findings:
    """Annotations: qualified names, 256 KiB in all."""
    for key in values:
        yield from _qualified((*path, key), key.lower())
    if sum(len(k.encode()) + len(v.encode()) for k, v in values.items()) > 256 << 10:
        yield Finding(path, "more than 256 KiB of annotations")


def _qualified(path: Path, key: str) -> Findings:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        yield Finding(path, f'the prefix "{prefix}" is no DNS name')
    if len(name) > 63 or not _NAME_PART.fullmatch(name):
        yield Finding(
            path, f'"{name}" is no name: at most 63 letters, digits, -, _ and ., letters or digits at its ends'
        )


def address(path: Path, value: str) -> Findings:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        yield Finding(path, f'"{value}" is no IP address')


def port(path: Path, value: int) -> Findings:
    """1 to 65535."""
    if not 1 <= value <= 65535:
        yield Finding(path, f"{value} is no port: 1 to 65535")


def at_least(path: Path, value: int, least: int) -> Findings:
    """A lower limit."""
    if value < least:
        yield Finding(path, f"{value} should be at least {least}")


def relative(path: Path, value: str) -> Findings:
    """A path inside of something: not absolute, never up."""
    if value.startswith("/"):
        yield Finding(path, f'"{value}" should be relative')
    elif ".." in value.split("/"):
        yield Finding(path, f'"{value}" should not contain ".."')


def absolute(path: Path, value: str) -> Findings:
    """An absolute path that never goes up."""
    if not value:
        yield Finding(path, "required value")
    elif not value.startswith("/"):
        yield Finding(path, f'"{value}" should be an absolute path')
    elif ".." in value.split("/"):
        yield Finding(path, f'"{value}" should not contain ".."')
