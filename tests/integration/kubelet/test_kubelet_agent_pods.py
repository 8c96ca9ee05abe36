"""Pods of manifests, on a real Cricket: what changes, dies and comes back. What manifests show by themselves is in
tests/manifests."""

from __future__ import annotations

import pytest
from harness.node import Node, until
from kubelet_agent import AgentProcess

pytestmark = pytest.mark.root

SLEEPER = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: IMAGE, command: [sh, -c, "echo hello; exec sleep 1000"]}
"""


def test_pod_runs_and_goes(agent: AgentProcess, node: Node) -> None:
    agent.put(SLEEPER)
    status = agent.wait_ready()
    assert status["phase"] == "Running" and status["podIP"] and status["qosClass"] == "BestEffort"
    until(lambda: agent.output("main") == "hello\n", "no output")
    assert agent.reasons() == ["Pulling", "Pulled", "Created", "Started"]
    agent.drop()
    until(lambda: not agent.pod(), "it does not go")
    assert agent.messages("Killing") == ["Stopping container main"]
    assert not node.cri.call("ListPodSandbox").items


def test_killed_agent_adopts_what_runs(agent: AgentProcess) -> None:
    agent.put(SLEEPER)
    before = agent.wait_ready()["containerStatuses"][0]["containerID"]
    agent.kill()
    agent.start()
    after = agent.wait_ready()
    assert after["containerStatuses"][0]["containerID"] == before and after["containerStatuses"][0]["restartCount"] == 0


def test_manifest_that_went_while_the_agent_was_dead(agent: AgentProcess, node: Node) -> None:
    agent.put(SLEEPER)
    agent.wait_ready()
    agent.kill()
    agent.drop()
    agent.start()
    until(lambda: not node.cri.call("ListPodSandbox").items, "it does not go")


def test_pods_of_others_are_left_alone(agent: AgentProcess, node: Node) -> None:
    other = node.run_pod()
    agent.put(SLEEPER)
    agent.wait_ready()
    agent.end_pods()
    assert [box.id for box in node.cri.call("ListPodSandbox").items] == [other]
    node.remove_pods()


def test_changed_manifest_recreates_and_resize_does_not(agent: AgentProcess) -> None:
    limits = SLEEPER.replace("image: IMAGE,", "image: IMAGE, resources: {limits: {cpu: 100m, memory: 64Mi}},")
    agent.put(limits)
    first = agent.wait_ready()
    agent.put(limits.replace("64Mi", "96Mi"))
    until(lambda: "ResizeCompleted" in agent.reasons(), agent.log())
    resized = agent.pod()
    assert resized["uid"] == first["uid"] and resized["containerStatuses"][0]["restartCount"] == 0
    assert resized["containerStatuses"][0]["resources"]["limits"]["memory"] == "96Mi"
    agent.put(limits.replace("hello", "changed"))
    until(lambda: agent.pod().get("uid") not in (None, first["uid"]), "it is not recreated")
    agent.wait_ready()
    assert agent.output("main") == "changed\n"


def test_crash_loop(agent: AgentProcess) -> None:
    agent.put(SLEEPER.replace("exec sleep 1000", "echo why > /dev/termination-log; exit 3"))
    status = agent.wait_waiting("main", "CrashLoopBackOff")
    assert status["restartCount"] == 1 and status["state"]["waiting"]["message"].startswith("back-off 10s restarting")
    assert status["lastState"]["terminated"]["exitCode"] == 3 and status["lastState"]["terminated"]["reason"] == "Error"
    assert status["lastState"]["terminated"]["message"] == "why\n"
    assert agent.pod()["phase"] == "Running" and "BackOff" in agent.reasons()


def test_image_that_is_not_there(agent: AgentProcess) -> None:
    agent.put(SLEEPER.replace("IMAGE", agent.image.replace("busybox", "nothing")))
    agent.wait_waiting("main", "ErrImagePull")
    status = agent.wait_waiting("main", "ImagePullBackOff")
    assert "Back-off pulling image" in status["state"]["waiting"]["message"] and agent.pod()["phase"] == "Pending"
    agent.put(SLEEPER)
    agent.wait_ready()


def test_never_pull_and_config_error(agent: AgentProcess) -> None:
    missing = agent.image.replace("busybox", "nothing")
    agent.put(SLEEPER.replace("image: IMAGE", f"image: {missing}, imagePullPolicy: Never"))
    agent.wait_waiting("main", "ErrImageNeverPull")
    agent.put(SLEEPER.replace("image: IMAGE", "image: IMAGE, envFrom: [{configMapRef: {name: nosuch}}]"))
    status = agent.wait_waiting("main", "CreateContainerConfigError")
    assert status["state"]["waiting"]["message"] == 'configmap "nosuch" not found'
    agent.put(
        """\
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: nosuch}
        data: {A: b}
    """,
        "map.yaml",
    )
    agent.wait_ready()


def test_probes(agent: AgentProcess) -> None:
    agent.put("""\
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - name: main
            image: IMAGE
            command: [sh, -c, "mkdir /w; echo ok > /w/ready; httpd -p 8080 -h /w; touch /alive; sleep 1000"]
            ports: [{name: http, containerPort: 8080}]
            startupProbe: {tcpSocket: {port: http}, periodSeconds: 1}
            readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}
            livenessProbe: {exec: {command: [cat, /alive]}, periodSeconds: 1, failureThreshold: 1}
    """)
    agent.wait_ready()
    key = agent.container("main")["containerID"].partition("://")[2]
    _exec(agent, key, "rm", "/w/ready")
    until(lambda: not agent.container("main")["ready"], "still ready")
    assert "Readiness probe failed: HTTP probe failed with statuscode: 404" in agent.messages("Unhealthy")
    _exec(agent, key, "rm", "/alive")
    until(lambda: agent.container("main")["restartCount"] == 1, "not restarted")
    assert "Container main failed liveness probe, will be restarted" in agent.messages("Killing")
    assert "Liveness probe failed: cat: can't open '/alive': No such file or directory\n" in agent.messages("Unhealthy")


def _exec(agent: AgentProcess, container_id: str, *command: str) -> None:
    from harness.cri import Cri

    cri = Cri(agent.runtime)
    assert cri.call("ExecSync", container_id=container_id, cmd=list(command), timeout=5).exit_code == 0
    cri.close()


def test_hooks_and_grace(agent: AgentProcess) -> None:
    agent.put(
        """\
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          terminationGracePeriodSeconds: 20
          volumes: [{name: h, hostPath: {path: DIR}}]
          containers:
          - name: main
            image: IMAGE
            command: [sh, -c, "trap 'echo term >> /h/said; exit 0' TERM; while :; do sleep 0.1; done"]
            volumeMounts: [{name: h, mountPath: /h}]
            lifecycle:
              postStart: {exec: {command: [sh, -c, "echo post >> /h/said"]}}
              preStop: {exec: {command: [sh, -c, "echo pre >> /h/said"]}}
    """.replace("DIR", str(agent.directory))
    )
    agent.wait_ready()
    agent.end_pods()
    assert (agent.directory / "said").read_text() == "post\npre\nterm\n"


def test_broken_manifest_keeps_the_pod(agent: AgentProcess) -> None:
    agent.put(SLEEPER)
    uid = agent.wait_ready()["uid"]
    agent.put("apiVersion: v1\nkind: Pod\nmetadata: {name: web\n")
    until(lambda: agent.ask("/pods")["problems"], "no complaint")
    assert agent.pod()["uid"] == uid
