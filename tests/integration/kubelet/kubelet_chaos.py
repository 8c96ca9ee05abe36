"""Random trouble for an agent and its runtime: one seed is one sequence of steps."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import textwrap
from collections import Counter
from typing import Any, NamedTuple

from harness.cri import CriError
from harness.node import Node, until
from kubelet_agent import AgentProcess

Json = dict[str, Any]

SERVICE = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: NAME}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: v, emptyDir: {medium: Memory}}, {name: c, configMap: {name: settings, optional: true}}]
      initContainers:
      - {name: first, image: IMAGE, command: ["true"]}
      - {name: side, image: IMAGE, restartPolicy: Always, command: [sleep, "999"]}
      containers:
      - name: main
        image: IMAGE
        command: [sleep, "NUMBER"]
        resources: {limits: {cpu: CPUm, memory: 64Mi}}
        volumeMounts: [{name: v, mountPath: /v}, {name: c, mountPath: /c}]
"""
TASK = """\
    apiVersion: v1
    kind: Pod
    metadata: {name: NAME}
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: IMAGE, command: [sh, -c, "sleep 0.NUMBER"]}]
"""
GROUP = """\
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: NAME}
    spec:
      replicas: 2
      selector: {matchLabels: {app: NAME}}
      template:
        metadata: {labels: {app: NAME}}
        spec:
          terminationGracePeriodSeconds: 1
          containers: [{name: main, image: IMAGE, command: [sleep, "NUMBER"], resources: {limits: {cpu: CPUm}}}]
"""
KINDS = {"service": SERVICE, "task": TASK, "group": GROUP}
STEPS = {
    "put": 6,
    "resize": 2,
    "drop": 2,
    "break_manifest": 1,
    "agent_dies": 2,
    "agent_restarts": 1,
    "runtime_dies": 2,
    "container_stops": 1,
    "process_dies": 2,
    "sandbox_stops": 1,
    "sandbox_removed": 1,
    "wait": 1,
}
"""What may happen, and how often of all."""


class Wanted(NamedTuple):
    """A manifest as it was put last."""

    kind: str
    number: int
    cpu: int

    def pods(self, name: str) -> list[str]:
        return [f"{name}-{at}" for at in range(2)] if self.kind == "group" else [name]


class Chaos:
    """`step` does something; `settled` says whether all is as it should be; `told` is what was done."""

    def __init__(self, agent: AgentProcess, node: Node, seed: int, *, fragile: bool) -> None:
        """`fragile`: sandboxes are stopped and the runtime is killed only when it has nothing else to do, as it would
        leave things lying about."""
        self.agent, self.node, self.chance, self.fragile = agent, node, random.Random(seed), fragile
        self.wanted: dict[str, Wanted] = {}
        self.told: list[str] = []

    def step(self) -> None:
        """Do one thing, by chance."""
        (what,) = self.chance.choices(list(STEPS), list(STEPS.values()))
        self.told.append(what)
        getattr(self, f"_{what}")()
        if self.chance.random() < 0.3:
            self._let_time_pass()
        self.check()

    def _let_time_pass(self) -> None:
        """Until the agent has done something, at most a second: the next step meets another state."""
        before = self.agent.ask("/events")
        with contextlib.suppress(AssertionError):
            until(lambda: self.agent.ask("/events") != before, "", self.chance.random())

    # manifests

    def _put(self) -> None:
        name = self.chance.choice("abc")
        wanted = Wanted(
            self.chance.choice(list(KINDS)), self.chance.randrange(1000, 1004), self.chance.choice((100, 200))
        )
        self._write(name, wanted)

    def _resize(self) -> None:
        """CPU only: in place."""
        if self.wanted:
            name = self.chance.choice(sorted(self.wanted))
            self._write(name, self.wanted[name]._replace(cpu=self.chance.choice((100, 200, 300))))

    def _write(self, name: str, wanted: Wanted) -> None:
        text = KINDS[wanted.kind].replace("NAME", name).replace("CPU", str(wanted.cpu))
        self.agent.put(text.replace("NUMBER", str(wanted.number)), f"{name}.yaml")
        self.wanted[name] = wanted
        self.told[-1] += f" {name}: {' '.join(map(str, wanted))}"

    def _drop(self) -> None:
        if self.wanted:
            name = self.chance.choice(sorted(self.wanted))
            del self.wanted[name]
            self.agent.drop(f"{name}.yaml")
            self.told[-1] += f" {name}"

    def _break_manifest(self) -> None:
        """What was wanted goes on while nobody can read what is wanted now."""
        if self.wanted:
            name = self.chance.choice(sorted(self.wanted))
            self.agent.put("kind: Pod\nmetadata: {name: oh", f"{name}.yaml")
            until(lambda: self.agent.ask("/pods")["problems"], "no complaint about a broken manifest")
            self._write(name, self.wanted[name])

    # deaths

    def _agent_dies(self) -> None:
        self.agent.kill()
        if self.wanted and self.chance.random() < 0.5:
            self._drop()  # nobody sees it
        self.agent.start()

    def _agent_restarts(self) -> None:
        assert self.agent.stop() == 0, "the agent did not end well"
        self.agent.start()

    def _spare(self) -> None:
        """Wait until a fragile runtime has nothing to do: all is as wanted, and no network is being taken apart."""
        if self.fragile:
            self.converge()
            until(self._networks_are_whole, "the rules of pods that are gone stay", 20)

    def _networks_are_whole(self) -> bool:
        ready = {box.id for box in self.node.cri.call("ListPodSandbox").items if box.state == 0}
        return {found for rule in self.node.network.rules() for found in re.findall(r"[0-9a-f]{64}", rule)} <= ready

    def _runtime_dies(self) -> None:
        self._spare()
        self.node.daemon.kill()
        if self.chance.random() < 0.5:
            self.told[-1] += ", meanwhile"
            self.chance.choice((self._put, self._drop, self._process_dies))()
        self.node.daemon.start()

    def _container_stops(self) -> None:
        """Somebody stops it behind the agent's back."""
        self._of_one("ListContainers", "containers", "StopContainer", "container_id", timeout=0)

    def _sandbox_stops(self) -> None:
        self._spare()
        self._of_one("ListPodSandbox", "items", "StopPodSandbox", "pod_sandbox_id")

    def _sandbox_removed(self) -> None:
        self._sandbox_stops()
        self._of_one("ListPodSandbox", "items", "RemovePodSandbox", "pod_sandbox_id")

    def _of_one(self, ask: str, items: str, do: str, key: str, **fields: Any) -> None:
        found = sorted(getattr(self.node.cri.call(ask), items), key=lambda item: (item.metadata.name, item.created_at))
        if found:
            with contextlib.suppress(CriError):  # it may go just now, or run
                self.node.cri.call(do, **{key: self.chance.choice(found).id}, **fields)

    def _process_dies(self) -> None:
        pids = [int(line.split(" ", 1)[0]) for line in self.node.leaks.processes() if " sleep " in line]
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(sorted(pids)), signal.SIGKILL)

    def _wait(self) -> None:
        self.converge()

    # what must be

    def check(self) -> None:
        """What holds at any time: no container runs twice."""
        running = self.node.cri.call("ListContainers", filter={"state": {"state": 1}}).containers
        count = Counter((c.labels["io.kubernetes.pod.name"], c.metadata.name) for c in running)
        twice = [name for name, number in count.items() if number > 1]
        assert not twice, f"they run twice: {twice}"

    def converge(self, timeout: float = 60.0) -> None:
        """Wait until everything is as wanted. Raises AssertionError."""
        until(self._settled, "", timeout)

    def _settled(self) -> bool:
        self.check()
        pods = {pod["metadata"]["name"]: pod for pod in self.agent.ask("/pods")["items"]}
        if set(pods) != {pod for name, wanted in self.wanted.items() for pod in wanted.pods(name)}:
            return False
        return all(
            _as_wanted(pods[pod], wanted) for name, wanted in self.wanted.items() for pod in wanted.pods(name)
        ) and self._in_the_runtime(pods)

    def _in_the_runtime(self, pods: dict[str, Json]) -> bool:
        ready = Counter(box.metadata.uid for box in self.node.cri.call("ListPodSandbox").items if box.state == 0)
        return ready == Counter(pod["metadata"]["uid"] for pod in pods.values() if pod["status"]["phase"] == "Running")

    def report(self) -> str:
        """What was done and what there is, for failures."""
        steps = textwrap.indent("\n".join(self.told), "  ")
        there = "\n".join(self.agent.told())
        return f"steps:\n{steps}\nwanted: {self.wanted}\nthere:\n{there}\nthe agent's log:\n{self.agent.log()}"


def _as_wanted(pod: Json, wanted: Wanted) -> bool:
    status, main = pod["status"], pod["spec"]["containers"][0]
    if "deletionTimestamp" in pod["metadata"]:
        return False
    if wanted.kind == "task":
        return bool(status["phase"] == "Succeeded") and main["command"][-1].endswith(str(wanted.number))
    limit = {"cpu": f"{wanted.cpu}m"}.items()
    shown = [c for c in status.get("containerStatuses", ()) if c["ready"] and "running" in c["state"]]
    return (
        main["command"] == ["sleep", str(wanted.number)]
        and len(shown) == len(pod["spec"]["containers"])
        and limit <= shown[0].get("resources", {}).get("limits", {}).items()
    )
