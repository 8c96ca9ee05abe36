"""Jobs that fail and go on, StatefulSets in order, what an agent that died has left."""

from __future__ import annotations

import pytest
from harness.node import Node, until
from kubelet_agent import AgentProcess

pytestmark = pytest.mark.root

JOB = """\
    apiVersion: batch/v1
    kind: Job
    metadata: {name: work}
    spec:
      ttlSecondsAfterFinished: 4
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          volumes: [{name: v, persistentVolumeClaim: {claimName: v}}]
          containers:
          - name: main
            image: IMAGE
            command: [sh, -c, "mkdir /v/first && exit 3; exit 0"]
            volumeMounts: [{name: v, mountPath: /v}]
    ---
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: v}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
SET = """\
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: set}
    spec:
      replicas: 2
      selector: {matchLabels: {a: b}}
      template:
        metadata: {labels: {a: b}}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - name: main
            image: IMAGE
            command: [sh, -c, "sleep 1; touch /up; exec sleep 1000"]
            readinessProbe: {exec: {command: [test, -e, /up]}, periodSeconds: 1}
"""


def _phases(agent: AgentProcess, prefix: str) -> dict[str, str]:
    pods = agent.ask("/pods")["items"]
    return {p["metadata"]["name"]: p["status"]["phase"] for p in pods if p["metadata"]["name"].startswith(prefix)}


def test_workloads(agent: AgentProcess, node: Node) -> None:
    """The first pod of the Job fails, its successor does not, both go, and neither comes back, not even with another
    agent. Meanwhile the set begins one by one."""
    agent.put(JOB, "job.yaml")
    agent.put(SET, "set.yaml")
    agent.wait_ready("set-0")
    first = agent.pod("set-0")["conditions"]
    agent.wait_ready("set-1")
    ready = next(c["lastTransitionTime"] for c in first if c["type"] == "Ready")
    assert agent.pod("set-1")["startTime"] >= ready, "the second began before the first was ready"
    until(lambda: sorted(_phases(agent, "work").values()) == ["Failed", "Succeeded"], "the job is not done", 40)
    assert agent.pod("work-0")["phase"] == "Failed"
    until(lambda: not _phases(agent, "work"), "the job's pods stay")
    assert "Completed" in agent.reasons()
    agent.kill()
    agent.put(SET.replace("replicas: 2", "replicas: 1"), "set.yaml")
    agent.start()
    until(lambda: set(_phases(agent, "set")) == {"set-0"}, "it does not become smaller")
    assert not _phases(agent, "work"), "a job that is done began anew"


def test_what_a_dead_agent_has_left(agent: AgentProcess, node: Node) -> None:
    agent.put(SET.replace("replicas: 2", "replicas: 1"))
    agent.wait_ready("set-0")
    agent.kill()
    agent.drop()
    node.remove_pods()
    kinds = ("/root/pods/", "/root/agent/", "/pods/default_", "/sys/fs/cgroup/")
    assert all(any(kind in path for path in agent.left()) for kind in kinds), agent.left()
    agent.start()
    until(lambda: not agent.left(), f"it stays: {agent.left()}")
