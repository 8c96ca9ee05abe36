"""The agent's API on a real pod: logs that are followed, numbers that a metrics server scrapes."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
from harness.node import until
from kubelet_agent import AgentProcess

pytestmark = pytest.mark.root

POD = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: web}
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      volumes: [{name: v, emptyDir: {}}]
      containers:
      - name: main
        image: IMAGE
        command: [sh, -c, "echo one; echo two; until test -e /v/go; do sleep 0.1; done; echo three"]
        volumeMounts: [{name: v, mountPath: /v}]
        readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
"""


@contextlib.contextmanager
def asking(agent: AgentProcess, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    with contextlib.closing(connection):
        connection.sock.settimeout(20)
        connection.sock.connect(agent.socket)
        connection.request("GET", path)
        with contextlib.closing(connection.getresponse()) as answer:
            yield answer


def _log(agent: AgentProcess, query: str = "", container: str = "main") -> tuple[int, str]:
    with asking(agent, f"/containerLogs/default/web/{container}{query}") as answer:
        return answer.status, answer.read().decode()


def test_logs_and_numbers(agent: AgentProcess) -> None:
    agent.put(POD)
    uid = agent.wait_ready()["uid"]
    until(lambda: _log(agent) == (200, "one\ntwo\n"), "no log")
    assert _log(agent, "?tailLines=1") == (200, "two\n")
    assert _log(agent, "?timestamps=true")[1].splitlines()[0].endswith("Z one")
    assert _log(agent, container="nosuch") == (404, 'container "nosuch" not found in pod "web"')
    assert _log(agent, "?previous=true")[0] == 404 and _log(agent, "?tailLines=x")[0] == 400
    followed: list[str] = []
    reader = threading.Thread(target=lambda: followed.append(_log(agent, "?follow=true")[1]))
    reader.start()
    told = agent.ask("/metrics")
    for line in ("kubelet_running_pods 1", 'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1'):
        assert line in told
    assert 'prober_probe_total{probe_type="Readiness",result="successful",namespace="default",pod="web"' in told
    resources = agent.ask("/metrics/resource")
    assert 'container_memory_working_set_bytes{container="main",namespace="default",pod="web"} ' in resources
    told = agent.ask("/stats/summary")["pods"][0]
    assert told["podRef"]["name"] == "web" and told["containers"][0]["memory"]["workingSetBytes"] > 0
    assert agent.ask("/configz")["kubeletconfig"]["name"] == agent.token
    (agent.root / "pods" / uid / "volumes" / "kubernetes.io~empty-dir" / "v" / "go").touch()
    reader.join(20)
    assert followed == ["one\ntwo\nthree\n"]
    agent.wait_phase("Succeeded")
