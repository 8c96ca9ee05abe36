"""Probes and lifecycle hooks. All times are in seconds."""

from __future__ import annotations

from cricket.kubelet.model.base import KubeStruct


class ExecAction(KubeStruct, frozen=True):
    """A command in the container; no shell around it."""

    command: tuple[str, ...] = ()


class HTTPHeader(KubeStruct, frozen=True):
    """A header of an httpGet."""

    name: str
    value: str = ""


class HTTPGetAction(KubeStruct, frozen=True):
    """A request; `host` is the pod's address when empty, `port` a number or the name of a container's port."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(KubeStruct, frozen=True):
    """A connection that has to open."""

    port: int | str
    host: str = ""


class GRPCAction(KubeStruct, frozen=True):
    """grpc.health.v1.Health/Check of `service`."""

    port: int
    service: str = ""


class SleepAction(KubeStruct, frozen=True):
    """A pause."""

    seconds: int


class Probe(KubeStruct, frozen=True):
    """One of the four handlers and its rhythm. `termination_grace_period_seconds` replaces the pod's; not in readiness
    probes."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(KubeStruct, frozen=True):
    """One of the handlers."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(KubeStruct, frozen=True):
    """Hooks, and the signal that stops the container ("SIGUSR1"; needs the pod's `os.name`)."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str = ""
