"""What only happens between an agent and a runtime that is not Cricket: deaths on both sides."""

from __future__ import annotations

import pytest
from harness.node import Node, until
from kubelet_agent import AgentProcess
from kubelet_expect import FOLDER

pytestmark = pytest.mark.root

WEB = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: IMAGE, command: [sleep, "1000"]}
"""


def _running(agent: AgentProcess) -> tuple[str, int]:
    status = agent.wait_ready()["containerStatuses"][0]
    return status["containerID"], status["restartCount"]


def test_agent_that_was_killed_adopts_what_runs(containerd_agent: AgentProcess) -> None:
    agent = containerd_agent
    agent.put(WEB)
    before = _running(agent)
    agent.kill()
    agent.start()
    assert _running(agent) == before == (before[0], 0)
    assert agent.reasons() == []


def test_pods_that_are_not_wanted_any_more_go_with_the_next_agent(
    containerd_agent: AgentProcess, containerd: Node
) -> None:
    agent = containerd_agent
    agent.put(WEB)
    _running(agent)
    agent.kill()
    agent.drop()
    agent.start()
    until(lambda: not containerd.cri.call("ListPodSandbox").items, "it does not go")


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_runtime_that_comes_back_still_has_the_pod(
    containerd_agent: AgentProcess, containerd: Node, kill: bool
) -> None:
    agent = containerd_agent
    agent.put(WEB)
    before = _running(agent)
    containerd.restart(kill=kill)
    agent.put(WEB.replace("name: web", "name: next"), "next.yaml")
    agent.wait_ready("next")
    assert _running(agent) == before


def test_container_that_dies_while_the_runtime_is_away_is_started_again(
    containerd_agent: AgentProcess, containerd: Node
) -> None:
    agent = containerd_agent
    agent.put(WEB)
    _running(agent)
    containerd.daemon.kill()
    _kill_sleep(containerd)
    containerd.daemon.start()
    until(lambda: agent.container("main").get("restartCount") == 1, "not restarted")
    assert _running(agent)[1] == 1
    assert agent.container("main")["lastState"]["terminated"]["exitCode"] == 137


def test_sandbox_that_dies_is_made_anew(containerd_agent: AgentProcess, containerd: Node) -> None:
    agent = containerd_agent
    agent.put(WEB)
    before, _ = _running(agent)
    box = containerd.cri.call("ListPodSandbox").items[0].id
    containerd.cri.call("StopPodSandbox", pod_sandbox_id=box)
    until(lambda: agent.container("main").get("containerID") not in (None, before), "not made anew")
    agent.wait_ready()
    assert "SandboxChanged" in agent.reasons()


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("user-namespace", 'runtime handler "" does not support user namespaces'),
        ("security-groups-strict", "SupplementalGroupsPolicy=Strict is not supported in this node"),
    ],
)
def test_what_the_runtime_lacks_is_told_and_not_left_out(
    containerd_agent: AgentProcess, containerd: Node, manifest: str, words: str
) -> None:
    agent = containerd_agent
    agent.put((FOLDER / f"{manifest}.yaml").read_text().replace("busybox:1", "IMAGE"))
    until(lambda: "FailedCreatePodSandBox" in agent.reasons(), agent.log())
    assert agent.messages("FailedCreatePodSandBox") == [f"Failed to create pod sandbox: {words}"]
    assert agent.pod(manifest)["phase"] == "Pending"
    assert not containerd.cri.call("ListPodSandbox").items


def _kill_sleep(node: Node) -> None:
    import os
    import signal

    pids = [int(line.split()[0]) for line in node.leaks.processes() if line.endswith(" sleep 1000")]
    assert len(pids) == 1
    os.kill(pids[0], signal.SIGKILL)
