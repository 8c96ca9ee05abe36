"""`cricket kube generate`: what it writes makes an equal pod again."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.containerd import ContainerdNode
from harness.node import Node, until

from cricket.kubelet.identity import spec_hash
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.manifest.load import load

pytestmark = pytest.mark.root
Cricket = Any
MANIFESTS = Path(__file__).parents[2] / "manifests"
NAMES = ("env-from", "volume-projected", "security-hardened", "volume-sub-path")


@contextlib.contextmanager
def _running(cricket: Cricket, text: str, name: str) -> Iterator[str]:
    """The pod of a manifest, as long as the block: its name."""
    (cricket.directory / "pod.yaml").write_text(text)
    with open(cricket.directory / "out", "wb") as out:
        root = str(cricket.directory / "root")
        process = cricket.start("run", "--root", root, "pod.yaml", stdout=out, stderr=subprocess.STDOUT)
    pods = load(text.encode(), "x", "node").pods
    count = sum(len(pod.spec.containers) for pod in pods)

    def all_run() -> bool:
        assert process.poll() is None, (cricket.directory / "out").read_text()
        return len(cricket.ok("ps", "-q").split()) == count

    until(all_run, f"{name} does not run")
    yield name
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def _loaded(text: str) -> Desired:
    found = load(text.encode(), "x", "node")
    assert found.errors == (), text
    return found


def _objects(desired: Desired) -> dict[str, dict[str, bytes]]:
    return {o.metadata.key: o.contents() for o in [*desired.config_maps, *desired.secrets]}


def _staying(name: str, image: str) -> str:
    """A manifest whose containers go on."""
    found = list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text().replace("busybox:1", image)))
    for pod in (value for value in found if value["kind"] == "Pod"):
        pod["spec"]["terminationGracePeriodSeconds"] = 1
        for container in pod["spec"]["containers"]:
            if container.get("command", [])[:2] == ["sh", "-c"]:
                container["command"][2] = f"{container['command'][2].rstrip()}\nexec sleep 1000\n"
    return str(yaml.safe_dump_all(found))


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(cricket: Cricket, node: Node, image: str, name: str) -> None:
    if isinstance(node, ContainerdNode) and name != "env-from":
        pytest.skip("one will do")
    text = _staying(name, image)
    wanted = _loaded(text)
    (pod,) = wanted.pods
    with _running(cricket, text, pod.metadata.name):
        noted = cricket.ok("kube", "generate", pod.metadata.name)
        told = cricket.ok("kube", "generate", "--from-runtime", pod.metadata.name)
    found = _loaded(noted)
    assert [spec_hash(p) for p in found.pods] == [spec_hash(pod)]
    assert _objects(found) == _objects(wanted)
    # Of what the runtime knows, a pod made of it tells the same.
    with _running(cricket, told, pod.metadata.name):
        again = cricket.ok("kube", "generate", "--from-runtime", pod.metadata.name)
    assert _loaded(again).pods[0].spec == _loaded(told).pods[0].spec
    node.assert_clean(name)


def test_several_pods_of_crictl(cricket: Cricket, node: Node, image: str) -> None:
    for at in ("one", "two"):
        config = node.pod(at, labels={"app": at})
        command = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
        node.run(node.run_pod(config), node.container(image, *command, envs=[{"key": "A", "value": b"b"}]), config)
    cricket.ok("kube", "generate", "-f", "out.yaml", "one", "two")
    assert (cricket.directory / "out.yaml").stat().st_mode & 0o777 == 0o600
    found = _loaded((cricket.directory / "out.yaml").read_text())
    assert [p.metadata.labels for p in found.pods] == [{"app": "one"}, {"app": "two"}]
    assert found.pods[0].spec.containers[0].env[0].value == "b"
    assert '"kind": "List"' in cricket.ok("kube", "generate", "-o", "json", "one", "two")
    assert cricket("kube", "generate", "three").returncode == 3
    node.remove_pods()
