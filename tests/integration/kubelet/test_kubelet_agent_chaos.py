"""Manifests that change, containers, agents and runtimes that are killed, in any order: it ends as it should, clean."""

from __future__ import annotations

import random

import pytest
from harness.node import Node, until
from kubelet_agent import AgentProcess

pytestmark = pytest.mark.root

POD = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: NAME}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers:
      - {name: first, image: IMAGE, command: ["true"]}
      - {name: side, image: IMAGE, restartPolicy: Always, command: [sleep, "1000"]}
      containers:
      - {name: main, image: IMAGE, command: [sleep, "NUMBER"]}
"""


@pytest.mark.parametrize("seed", range(3))
def test_it_converges(agent: AgentProcess, node: Node, seed: int) -> None:
    chance, wanted = random.Random(seed), dict[str, int]()
    for _ in range(14):
        name, number = chance.choice("abc"), chance.randrange(1000, 1004)
        what = chance.choice(["put", "put", "put", "drop", "agent", "runtime", "container", "sandbox"])
        if what == "put":
            agent.put(POD.replace("NAME", name).replace("NUMBER", str(number)), f"{name}.yaml")
            wanted[name] = number
        elif what == "drop" and wanted.pop(name, None):
            agent.drop(f"{name}.yaml")
        elif what == "agent":
            agent.kill()
            agent.start()
        elif what == "runtime":
            node.restart(kill=True)
        elif what == "container":
            for item in list(node.cri.call("ListContainers").containers)[:1]:
                node.cri.call("StopContainer", container_id=item.id, timeout=0)
        elif what == "sandbox":
            for item in list(node.cri.call("ListPodSandbox").items)[:1]:
                node.cri.call("StopPodSandbox", pod_sandbox_id=item.id)
        until(lambda: agent.ask("/healthz") == "ok", "the agent is gone")

    def settled() -> bool:
        pods = {pod["metadata"]["name"]: pod for pod in agent.ask("/pods")["items"]}
        if set(pods) != set(wanted):
            return False
        commands = {name: pod["spec"]["containers"][0]["command"][1] for name, pod in pods.items()}
        ready = all(c["ready"] for pod in pods.values() for c in pod["status"]["containerStatuses"])
        return ready and commands == {name: str(number) for name, number in wanted.items()}

    until(settled, f"seed {seed} does not converge to {wanted}", 60)
    boxes = [box.metadata.name for box in node.cri.call("ListPodSandbox").items if box.state == 0]
    assert sorted(boxes) == sorted(wanted)
