"""The verbs, each with its preparation and with what a kubelet does after the runtime has come back."""

from __future__ import annotations

import itertools
import os

from faults_kit import Faults
from harness.images import Image, busybox_files
from harness.node import CONTAINER, POD, until

_serial = itertools.count(1)
READY, NOT_READY = 0, 1


class _Scenario:
    """A pod of its own, which `clean_up` removes. `pid` is its mode of PID namespace, `network` is configuration."""

    pid = POD
    network: dict[str, object] = {}

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


class StartOfAShortContainer(_Scenario):
    """A container that ends at once must have run once, whenever the daemon died."""

    def prepare(self) -> None:
        super().prepare()
        self.runs = self.node.directory / f"runs-{self.pod['metadata']['name']}"
        self.runs.mkdir()
        config = self.node.container(self.image, "sh", "-c", "echo run >>/runs/log; exit 9")
        config["mounts"] = [{"container_path": "/runs", "host_path": str(self.runs)}]
        self.container = self.node.create(self.pod_id, config, self.pod)

    def act(self) -> None:
        self.node.start(self.container)

    def retry(self) -> None:
        if self.node.state_of(self.container) == "CONTAINER_CREATED":
            self.node.start(self.container)
        status = self.node.wait_exit(self.container)
        assert (status.exit_code, (self.runs / "log").read_text()) == (9, "run\n")
        assert status.created_at < status.started_at < status.finished_at


class RunPodSandboxWithUserNamespace(RunPodSandbox):
    """The namespaces are made by a helper process, and layers are id-mapped."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        mapping = {"host_id": 200000, "container_id": 0, "length": 65536}
        options = {"pid": CONTAINER, "userns_options": {"mode": POD, "uids": [mapping], "gids": [mapping]}}
        self.pod["linux"]["security_context"] = {"namespace_options": options}
        self.sleeper["linux"] = {"security_context": {"namespace_options": options}}


class RunPodSandboxByPlugins(RunPodSandbox):
    """The network is made by the plugins' executables."""

    network = {"builtin_plugins": False}


class RunWarmPodSandbox(RunPodSandbox):
    """A warm sandbox is claimed, and then another one is made for it."""

    pid = CONTAINER
    network = {"warm_sandboxes": 1}

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        del self.pod["port_mappings"]

    def prepare(self) -> None:
        super().prepare()
        self._filled()

    def act(self) -> None:
        waiting = {one.id for one in self.node.leaks.warm()}
        super().act()
        assert self.acted in waiting
        # That other one is made a moment later.
        until(lambda: not self.node.daemon.running or self.node.leaks.warm(), "the pool is not filled again")

    def retry(self) -> None:
        super().retry()
        self._filled()
        addresses = [*self.node.pod_status(self.pod_id).network.ip.split(), *self._warm_addresses()]
        assert len(set(addresses)) == len(addresses)

    def _warm_addresses(self) -> list[str]:
        return [address for one in self.node.leaks.warm() for address in one.addresses]

    def _filled(self) -> None:
        """As many as are configured wait, and the daemon works on none."""
        until(lambda: len(self.node.leaks.warm()) == 1 and not self._between(), "the pool is not filled")

    def _between(self) -> list[str]:
        return self.node.left().get("sandbox directory", [])[2:]  # the bystander's and ours


class ChangeNetworkOfWarmSandboxes(RunWarmPodSandbox):
    """The configuration changes: warm sandboxes are taken apart and made anew."""

    mtu = itertools.cycle((1400, 1420))

    def act(self) -> None:
        before = {one.id for one in self.node.leaks.warm()}
        self.node.network.write({"type": "tuning", "mtu": next(self.mtu), "dataDir": f"{self.node.directory}/tuning"})
        until(
            lambda: not self.node.daemon.running or len({one.id for one in self.node.leaks.warm()} - before) == 1,
            "the pool is not renewed",
        )


class CreateContainerWithVolumes(CreateContainer):
    """An image as a volume, and a host directory that is not there yet."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.sleeper["mounts"] = [
            {"container_path": "/image", "image": {"image": self.image}, "readonly": True},
            {"container_path": "/host", "host_path": str(self.node.directory / "made" / self.pod["metadata"]["name"])},
        ]

    def check_works(self, container_id: str) -> None:
        super().check_works(container_id)
        assert self.node.exec(container_id, "cat", "/image/etc/second-layer").stdout == b"yes\n"


class PullImage(_Scenario):
    """A new image each time, of two layers; the worker process dies with the daemon."""

    def prepare(self) -> None:
        name = self.pod["metadata"]["name"]
        self.secret = os.urandom(16).hex().encode()
        files = {f"data/{n}": os.urandom(4096) for n in range(20)}
        self.pulled = Image({**busybox_files(), "etc/name": name.encode()}, {**files, "data/secret": self.secret})
        assert self.node.registry is not None
        self.reference = self.node.registry.push(f"faults/{name}", self.pulled)
        self.pod_id = ""

    def act(self) -> None:
        self.node.pull(self.reference)

    def retry(self) -> None:
        assert self.node.pull(self.reference)
        images = self.node.cri.call("ListImages").images
        assert [i.id for i in images if self.reference in i.repo_tags] == [self.pulled.id]
        pod_id = self.node.run_pod(self.pod)
        config = self.node.container(self.reference, "sleep", "1000000")
        container = self.node.run(pod_id, config, self.pod)
        assert self.node.exec(container, "cat", "/data/secret").stdout == self.secret

    def clean_up(self) -> None:
        super().clean_up()
        self.node.cri.call("RemoveImage", image={"image": self.reference})
        assert self.node.cri.call("ImageStatus", image={"image": self.reference}).image.id == ""


class RemoveImage(PullImage):
    def prepare(self) -> None:
        super().prepare()
        self.node.pull(self.reference)

    def act(self) -> None:
        self.node.cri.call("RemoveImage", image={"image": self.reference})

    def retry(self) -> None:
        self.act()


SCENARIOS = [
    RunPodSandbox,
    CreateContainer,
    StartContainer,
    StopContainer,
    RemoveContainer,
    StopPodSandbox,
    RemovePodSandbox,
    PullImage,
    RemoveImage,
    StartOfAShortContainer,
    RunPodSandboxWithUserNamespace,
    RunPodSandboxByPlugins,
    RunWarmPodSandbox,
    ChangeNetworkOfWarmSandboxes,
    CreateContainerWithVolumes,
]
