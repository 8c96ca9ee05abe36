"""Probes and hooks."""

from __future__ import annotations

import re
from typing import Any

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.container import Container
from cricket.kubelet.model.pod import PodSpec
from cricket.kubelet.model.probe import ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction
from cricket.kubelet.validate import names

_HEADER = re.compile(r"[-A-Za-z0-9!#$%&'*+.^_`|~]+")
_SIGNAL = re.compile(r"SIG(HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT"
                     r"|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|POLL|PWR|SYS|CLD"
                     r"|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)")  # fmt: skip


def probes(path: Path, container: Container) -> Findings:
    """The three probes of a container."""
    for field, probe in (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    ):
        if probe is not None:
            yield from _probe((*path, field), probe, container)


def _probe(path: Path, probe: Probe, container: Container) -> Findings:
    yield from _handlers(path, probe, ("exec", "httpGet", "tcpSocket", "grpc"), container)
    yield from names.at_least((*path, "initialDelaySeconds"), probe.initial_delay_seconds, 0)
    yield from names.at_least((*path, "timeoutSeconds"), probe.timeout_seconds, 1)
    yield from names.at_least((*path, "periodSeconds"), probe.period_seconds, 1)
    yield from names.at_least((*path, "successThreshold"), probe.success_threshold, 1)
    yield from names.at_least((*path, "failureThreshold"), probe.failure_threshold, 1)
    if path[-1] != "readinessProbe" and probe.success_threshold > 1:
        yield Finding(
            (*path, "successThreshold"), f"{probe.success_threshold} should be 1: only readiness may need more"
        )
    if probe.termination_grace_period_seconds is not None:
        here = (*path, "terminationGracePeriodSeconds")
        yield from names.at_least(here, probe.termination_grace_period_seconds, 1)
        if path[-1] == "readinessProbe":
            yield Finding(here, "not for readiness probes: they stop nothing")


def hooks(path: Path, container: Container, spec: PodSpec) -> Findings:
    """The lifecycle of a container."""
    lifecycle = container.lifecycle
    if lifecycle is None:
        return
    for field, handler in (("postStart", lifecycle.post_start), ("preStop", lifecycle.pre_stop)):
        if handler is not None:
            yield from _handlers((*path, field), handler, ("exec", "httpGet", "tcpSocket", "sleep"), container)
            if handler.sleep is not None:
                yield from _sleep((*path, field, "sleep"), handler.sleep, spec)
    if lifecycle.stop_signal:
        if not _SIGNAL.fullmatch(lifecycle.stop_signal):
            yield Finding((*path, "stopSignal"), f'"{lifecycle.stop_signal}" is no signal: write it like SIGUSR1')
        if spec.os is None:
            yield Finding((*path, "stopSignal"), "it needs spec.os.name: linux")


def _sleep(path: Path, sleep: SleepAction, spec: PodSpec) -> Findings:
    grace = spec.termination_grace_period_seconds
    if not 0 <= sleep.seconds <= grace:
        yield Finding((*path, "seconds"), f"{sleep.seconds} should be between 0 and the pod's grace period, {grace}")


def _handlers(path: Path, value: Probe | LifecycleHandler, kinds: tuple[str, ...], container: Container) -> Findings:
    attributes = {"exec": "exec", "httpGet": "http_get", "tcpSocket": "tcp_socket", "grpc": "grpc", "sleep": "sleep"}
    given = {kind: action for kind in kinds if (action := getattr(value, attributes[kind])) is not None}
    if len(given) != 1:
        yield Finding(path, f"exactly one handler is needed: {', '.join(kinds)}")
    for kind, action in given.items():
        yield from _action((*path, kind), action, container)


def _action(path: Path, action: Any, container: Container) -> Findings:
    if isinstance(action, ExecAction):
        if not action.command:
            yield Finding((*path, "command"), "required value")
        return
    if isinstance(action, SleepAction):
        return
    if isinstance(action, HTTPGetAction):
        yield from one_of((*path, "scheme"), action.scheme, ("HTTP", "HTTPS"))
        for i, header in enumerate(action.http_headers):
            if not _HEADER.fullmatch(header.name):
                yield Finding((*path, "httpHeaders", i, "name"), f'"{header.name}" is no name of a header')
    if isinstance(action, GRPCAction):
        yield from names.port((*path, "port"), action.port)
        return
    if isinstance(action.port, int):
        yield from names.port((*path, "port"), action.port)
        return
    yield from names.port_name((*path, "port"), action.port)
    if action.port not in [port.name for port in container.ports]:
        yield Finding((*path, "port"), f'the container has no port named "{action.port}"', warning=True)
