"""`cricket run IMAGE`: its options as CRI's configurations."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import socket
import uuid
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli import imagelogs
from cricket.cli.errors import UsageError
from cricket.errors import InvalidArgument, NotFound, map_errors

_MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_PERIOD, _NAMESPACE = 100_000, "default"
CONTAINER = "main"


def pod_config(args: argparse.Namespace, labels: dict[str, str]) -> Any:
    """The PodSandboxConfig. Raises UsageError."""
    base = re.sub(r"[^a-z0-9]+", "-", args.manifest.partition("@")[0].rpartition("/")[2].partition(":")[0].lower())
    name, uid = args.name or f"{base.strip('-') or 'run'}-{secrets.token_hex(3)}", str(uuid.uuid4())
    identity = {f"io.kubernetes.pod.{key}": value for key, value in _names(name, uid).items()}
    host = args.network == "host"
    namespaces = pb.NamespaceOption(network=pb.NODE if host else pb.POD, pid=pb.CONTAINER)
    return pb.PodSandboxConfig(
        metadata=_names(name, uid),
        hostname="" if host else args.hostname or name,
        log_directory=imagelogs.directory(pb.PodSandboxMetadata(name=name, namespace=_NAMESPACE, uid=uid)),
        port_mappings=[] if host else [port(text) for text in args.publish],
        labels={**identity, **labels, imagelogs.LABEL: "image"},
        linux={"security_context": {"namespace_options": namespaces, "privileged": args.privileged}},
    )


def _names(name: str, uid: str) -> dict[str, str]:
    return {"name": name, "namespace": _NAMESPACE, "uid": uid}


def container_config(args: argparse.Namespace, image: str, pod: Any) -> Any:
    """The ContainerConfig for an image that is there, by its id. Raises UsageError, InvalidArgument."""
    labels = {key: value for key, value in pod.labels.items()}
    security = pb.LinuxContainerSecurityContext(
        namespace_options=pod.linux.security_context.namespace_options,
        privileged=args.privileged,
        readonly_rootfs=args.read_only,
        masked_paths=() if args.privileged else _MASKED,
        readonly_paths=() if args.privileged else _READ_ONLY,
        seccomp=pb.SecurityProfile(
            profile_type=pb.SecurityProfile.Unconfined if args.privileged else pb.SecurityProfile.RuntimeDefault
        ),
    )
    _set_user(security, args.user)
    resources = pb.LinuxContainerResources(memory_limit_in_bytes=max(0, args.memory))
    if args.cpus > 0:
        resources.cpu_period, resources.cpu_quota = _PERIOD, max(1000, int(args.cpus * _PERIOD))
    return pb.ContainerConfig(
        metadata={"name": CONTAINER},
        image={"image": image, "user_specified_image": args.manifest},
        command=[args.entrypoint] if args.entrypoint else [],
        args=args.words,
        working_dir=args.workdir,
        envs=[{"key": key, "value": os.fsencode(value)} for key, value in variables(args).items()],
        mounts=[mount(text) for text in args.volume],
        labels={**labels, "io.kubernetes.container.name": CONTAINER},
        log_path=f"{CONTAINER}.log",
        stdin=args.interactive,
        stdin_once=args.interactive and not args.detach,
        tty=args.tty,
        linux={"resources": resources, "security_context": security},
    )


def variables(args: argparse.Namespace) -> dict[str, str]:
    """The variables of files and options; a name alone is taken over from here, if it is set. Raises UsageError."""
    texts: list[str] = []
    for path in args.env_file:
        with (
            map_errors(FileNotFoundError, NotFound, "the variables cannot be read", where=path),
            map_errors((OSError, UnicodeError), InvalidArgument, "the variables cannot be read", where=path),
            open(path, encoding="utf-8") as file,
        ):
            texts += [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
    result: dict[str, str] = {}
    for text in [*texts, *args.env]:
        key, equals, value = text.partition("=")
        if not key:
            raise UsageError(f"{text!r} is no variable", todo="write it NAME=VALUE")
        if equals:
            result[key] = value
        elif key in os.environ:
            result[key] = os.environ[key]
    return result


def mount(text: str) -> Any:
    """`HERE:THERE[:ro]`; a directory that is not here is made. Raises UsageError, InvalidArgument."""
    here, _, rest = text.partition(":")
    there, _, mode = rest.partition(":")
    if not there.startswith("/") or mode not in ("", "ro", "rw", "z", "Z"):
        raise UsageError(f"{text!r} is no volume", todo="write it HERE:THERE, or HERE:THERE:ro")
    if not here.startswith(("/", ".")):
        raise UsageError(f"there are no named volumes: {here!r}", todo=f"name a directory: ./{here}:{there}")
    path = os.path.abspath(here)
    if not os.path.exists(path):
        with map_errors(OSError, InvalidArgument, "the directory cannot be made", where=path):
            os.makedirs(path)
    return pb.Mount(host_path=path, container_path=there, readonly=mode == "ro", selinux_relabel=mode in ("z", "Z"))


def port(text: str) -> Any:
    """`[[ADDRESS:]HERE:]THERE[/PROTOCOL]`; without HERE a free port is taken. Raises UsageError."""
    match = re.fullmatch(r"(?:(?:(\[[0-9a-f:]+\]|\d+(?:\.\d+){3}):)?(\d{0,5}):)?(\d{1,5})(?:/(tcp|udp|sctp))?", text)
    here, there = (int(match[2] or 0), int(match[3])) if match else (0, 0)
    if match is None or not 0 < there < 65536 or here >= 65536:
        raise UsageError(f"{text!r} is no port", todo="write it HERE:THERE, like 8080:80")
    address, protocol = (match[1] or "").strip("[]"), (match[4] or "tcp").upper()
    return pb.PortMapping(
        protocol=protocol, container_port=there, host_ip=address, host_port=here or _free(address, protocol)
    )


def _free(address: str, protocol: str) -> int:
    """A port that nobody has just now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM) as probe:
        with map_errors(OSError, InvalidArgument, "there is no such address here", where=address):
            probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _set_user(security: Any, text: str) -> None:
    user, _, group = text.partition(":")
    if (group and not group.isdecimal()) or (text and not user):
        raise UsageError(f"{text!r} is no user", todo="write it USER, UID or UID:GID")
    if user.isdecimal():
        security.run_as_user.value = int(user)
    elif user:
        security.run_as_username = user
    if group:
        security.run_as_group.value = int(group)
