"""What a sandbox request must fulfil before anything is made."""

from __future__ import annotations

import re

from cricket.errors import InvalidArgument, Unimplemented
from cricket.lifecycle.handlers import Handler
from cricket.lifecycle.parts import Parts
from cricket.lifecycle.sandbox_files import SHM_SIZE, hostname_of
from cricket.lifecycle.sandbox_namespaces import wanted
from cricket.lifecycle.sandbox_sysctls import default_sysctls
from cricket.oci.cgroup import cgroups_path
from cricket.oci.namespaces import check_user_namespace
from cricket.oci.sysctls import check_sysctls
from cricket.types.sandbox import SandboxConfig
from cricket.types.security import NamespaceMode

_CONTROL, _NOT_NAME = re.compile(r"[\x00-\x1f\x7f]"), re.compile(r"[\x00-\x20\x7f]")
SHM_ANNOTATION = "io.kubernetes.cri-o.ShmSize"
_SIZE = re.compile(r"([0-9]{1,18})((?:[kmg]i?)?)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "k": 1000, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


def check(e: Parts, config: SandboxConfig, handler: Handler) -> None:
    """Raises InvalidArgument that names the field, Unimplemented for what the handler cannot do."""
    security = config.security
    options = security.namespaces
    for name, mode in (("network", options.network), ("ipc", options.ipc)):
        if mode not in (NamespaceMode.POD, NamespaceMode.NODE):
            raise InvalidArgument(f"{mode.name} is not possible for a sandbox", where=f"namespace_options.{name}")
    if options.pid is NamespaceMode.TARGET:
        raise InvalidArgument("TARGET is not possible for a sandbox", where="namespace_options.pid")
    if check_user_namespace(options.userns) is not None:
        if options.network is NamespaceMode.NODE:
            raise InvalidArgument("a pod with a user namespace cannot use the host's network", where="userns_options")
        if not handler.features.user_namespaces:
            raise Unimplemented(f"handler {handler.name} has no user namespaces", where="userns_options")
    if security.run_as_group is not None and security.run_as_user is None:
        raise InvalidArgument("run_as_group is set without run_as_user", where="security_context.run_as_group")
    _check_texts(config)
    shm_size(config)
    check_sysctls(config.sysctls, wanted(config))
    cgroups_path(config.cgroup_parent, "id", e.handlers.cgroup_driver)


def _check_texts(config: SandboxConfig) -> None:
    """What ends up in files line by line, or in paths."""
    if len(hostname_of(config).encode()) > 64 or _NOT_NAME.search(config.hostname):
        raise InvalidArgument("a hostname has at most 64 bytes, and no white space", where="hostname")
    if _CONTROL.search(config.cgroup_parent):
        raise InvalidArgument("a cgroup has no control characters in its path", where="linux.cgroup_parent")
    if config.log_directory and not config.log_directory.startswith("/"):
        raise InvalidArgument("the log directory is an absolute path", where="log_directory")
    dns = config.dns
    for word in (*dns.servers, *dns.searches, *dns.options) if dns is not None else ():
        if _NOT_NAME.search(word):
            raise InvalidArgument(f"{word[:100]!r} holds white space", where="dns_config")


def sysctls(e: Parts, config: SandboxConfig) -> dict[str, str]:
    """The sysctls to set: the request's, and the defaults of the configuration for pods with their own network."""
    if config.security.namespaces.network is NamespaceMode.NODE:
        return dict(config.sysctls)
    userns = config.security.namespaces.userns
    mapped = userns is None or userns.mode is NamespaceMode.NODE
    return {**default_sysctls(e.config.security, all_groups=mapped), **config.sysctls}


def shm_size(config: SandboxConfig) -> int:
    """Bytes of the pod's /dev/shm: 64 MiB, or the annotation that CRI-O knows. Raises InvalidArgument."""
    text = config.annotations.get(SHM_ANNOTATION)
    if text is None:
        return SHM_SIZE
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not 4096 <= size < 1 << 62:
        raise InvalidArgument(f"{text[:100]!r} is no size of shared memory", where=f"annotation {SHM_ANNOTATION}")
    return size
