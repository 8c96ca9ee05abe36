"""The verbs, each with its preparation and with what a kubelet does after the runtime has come back."""

from __future__ import annotations

import itertools

from faults_kit import Faults
from harness.node import POD

_serial = itertools.count(1)
READY, NOT_READY = 0, 1


class _Scenario:
    """A pod of its own, which `clean_up` removes. `pid` is its mode of PID namespace."""

    pid = POD

    def __init__(self, faults: Faults) -> None:
        self.node, self.image = faults.node, faults.image
        linux = {"security_context": {"namespace_options": {"pid": self.pid}}}
        port = {"container_port": 80, "host_port": 20000 + next(_serial) % 10000, "host_ip": "127.0.0.1"}
        self.pod = self.node.pod(f"victim{next(_serial)}", linux=linux, port_mappings=[port])
        self.pod["linux"]["cgroup_parent"] = f"/{self.node.token}/{self.pod['metadata']['name']}"
        self.sleeper = self.node.container(self.image, "sleep", "1000000")

    def prepare(self) -> None:
        self.pod_id = self.node.run_pod(self.pod)

    def clean_up(self) -> None:
        for pod_id, _ in self.pods():
            self.node.cri.call("StopPodSandbox", pod_sandbox_id=pod_id)
            self.node.cri.call("RemovePodSandbox", pod_sandbox_id=pod_id)
        assert self.pods() == []

    def pods(self) -> list[tuple[str, int]]:
        """(id, state) of our pod."""
        name = self.pod["metadata"]["name"]
        return [(p.id, p.state) for p in self.node.cri.call("ListPodSandbox").items if p.metadata.name == name]

    def containers(self) -> list[str]:
        """Ids of the containers in our pod."""
        answer = self.node.cri.call("ListContainers", filter={"pod_sandbox_id": self.pod_id})
        return [c.id for c in answer.containers]

    def check_works(self, container_id: str) -> None:
        """It runs, in a pod with an address."""
        assert self.node.state_of(container_id) == "CONTAINER_RUNNING"
        done = self.node.exec(container_id, "hostname")
        assert done.stdout.decode().strip() == self.pod["hostname"]


class RunPodSandbox(_Scenario):
    def prepare(self) -> None:
        self.acted = ""

    def act(self) -> None:
        self.acted = self.node.run_pod(self.pod)

    def retry(self) -> None:
        before = [pod_id for pod_id, state in self.pods() if state == READY]
        self.pod_id = self.node.run_pod(self.pod)
        assert before in ([], [self.pod_id]), "a retry must find the sandbox that is ready"
        assert self.pods() == [(self.pod_id, READY)]
        assert self.node.pod_status(self.pod_id).network.ip
        self.check_works(self.node.run(self.pod_id, self.sleeper, self.pod))


class CreateContainer(_Scenario):
    def act(self) -> None:
        self.node.create(self.pod_id, self.sleeper, self.pod)

    def retry(self) -> None:
        before = self.containers()
        container = self.node.create(self.pod_id, self.sleeper, self.pod)
        assert before in ([], [container])
        assert self.containers() == [container]
        self.node.start(container)
        self.check_works(container)


class StartContainer(_Scenario):
    def prepare(self) -> None:
        super().prepare()
        self.container = self.node.create(self.pod_id, self.sleeper, self.pod)

    def act(self) -> None:
        self.node.start(self.container)

    def retry(self) -> None:
        self.node.start(self.container)
        assert self.containers() == [self.container]
        self.check_works(self.container)


class StopContainer(_Scenario):
    def prepare(self) -> None:
        super().prepare()
        script = "trap 'exit 7' TERM; echo up; while true; do sleep 0.01; done"
        config = self.node.container(self.image, "sh", "-c", script)
        self.container = self.node.run(self.pod_id, config, self.pod)
        while "up" not in self.node.log_of(self.container):
            pass

    def act(self) -> None:
        self.node.cri.call("StopContainer", container_id=self.container, timeout=20)

    def retry(self) -> None:
        self.act()
        status = self.node.status(self.container)
        assert (status.state, status.exit_code) == (2, 7)
        assert status.created_at < status.started_at < status.finished_at


class RemoveContainer(_Scenario):
    def prepare(self) -> None:
        super().prepare()
        self.container = self.node.run(self.pod_id, self.sleeper, self.pod)

    def act(self) -> None:
        self.node.cri.call("RemoveContainer", container_id=self.container)

    def retry(self) -> None:
        self.act()
        assert self.containers() == []
        again = self.node.run(self.pod_id, self.sleeper, self.pod)
        self.check_works(again)


class StopPodSandbox(RemoveContainer):
    def act(self) -> None:
        self.node.cri.call("StopPodSandbox", pod_sandbox_id=self.pod_id)

    def retry(self) -> None:
        self.act()
        assert self.pods() == [(self.pod_id, NOT_READY)]
        assert self.node.state_of(self.container) == "CONTAINER_EXITED"


class RemovePodSandbox(RemoveContainer):
    def prepare(self) -> None:
        super().prepare()
        self.node.cri.call("StopPodSandbox", pod_sandbox_id=self.pod_id)

    def act(self) -> None:
        self.node.cri.call("RemovePodSandbox", pod_sandbox_id=self.pod_id)

    def retry(self) -> None:
        self.act()
        assert self.pods() == []


SCENARIOS = [
    RunPodSandbox,
    CreateContainer,
    StartContainer,
    StopContainer,
    RemoveContainer,
    StopPodSandbox,
    RemovePodSandbox,
]
