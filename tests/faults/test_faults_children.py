"""Killed while a plugin, a monitor or a runtime works, which goes on and ends only when the next daemon is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_kit import Effects
from harness.network import BIN_DIR
from harness.node import Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root


class Gate:
    """A program that waits, when it is called with a word, until it is let through; then it is the real one."""

    def __init__(self, directory: Path, name: str, real: str, condition: str) -> None:
        directory.mkdir(exist_ok=True)
        self.path, self._closed = directory / name, directory / f"{name}.closed"
        self._waiting, self._wanted = directory / f"{name}.waiting", condition
        script = f"""#!/bin/sh
if {condition} && [ -e {self._closed} ]; then
    echo >>{self._waiting}
    while [ -e {self._closed} ]; do sleep 0.01; done
fi
exec {real} "$@"
"""
        self.path.write_text(script)
        self.path.chmod(0o755)

    def close(self) -> None:
        self._waiting.unlink(missing_ok=True)
        self._closed.touch()

    def wait(self) -> None:
        """Until somebody stands before it."""
        until(self._waiting.exists, "the program was not called")

    def open(self) -> None:
        self._closed.unlink()


@pytest.fixture
def node(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    bin_dirs = [str(tmp_path / "bin"), BIN_DIR]
    handlers = {"gated": {"path": str(tmp_path / "bin" / "crun")}}
    network = {"bin_dirs": bin_dirs, "builtin_plugins": False}
    with Node.made(tmp_path, registry=registry, network=network, handlers=handlers) as made:
        made.pull(busybox_ref)
        yield made
        made.remove_pods()
        made.assert_clean()


def started_beside(node: Node, gate: Gate) -> None:
    """Start the daemon; while it waits for what an earlier one has started, open the gate."""
    node.daemon.launch()
    try:
        # As long as starting takes without anything to wait for, several times over.
        with pytest.raises(TimeoutError):
            node.daemon.ready_within(1.0)
    finally:
        gate.open()
    node.daemon.wait_ready()


def test_a_plugin_that_goes_on_leaves_no_address(node: Node, busybox_ref: str) -> None:
    gate = Gate(node.directory / "bin", "host-local", f"{BIN_DIR}/host-local", '[ "$CNI_COMMAND" = ADD ]')
    gate.close()
    config = node.pod()
    call = node.cri.start("RunPodSandbox", config=config)
    gate.wait()
    assert not call.done()
    node.daemon.kill()
    started_beside(node, gate)
    pod = node.run_pod(config)
    assert len(node.network.reserved()) == len(node.network.subnets)
    container = node.run(pod, node.container(busybox_ref, "sleep", "1000"), config)
    assert node.state_of(container) == "CONTAINER_RUNNING"


@pytest.mark.parametrize("verb", ["create", "start"])
def test_a_container_that_is_being_started_runs_once(node: Node, busybox_ref: str, verb: str) -> None:
    condition = f'case " $* " in *" {verb} "*) true;; *) false;; esac'
    gate = Gate(node.directory / "bin", "crun", "/usr/bin/crun", condition)
    node.restart()
    config = node.pod()
    pod = node.run_pod(config, "gated")
    runs = node.directory / "runs"
    runs.mkdir()
    script = node.container(busybox_ref, "sh", "-c", "echo run >>/runs/log; sleep 1000")
    script["mounts"] = [{"container_path": "/runs", "host_path": str(runs)}]
    container = node.create(pod, script, config)
    gate.close()
    call = node.cri.start("StartContainer", container_id=container)
    gate.wait()
    assert not call.done()
    node.daemon.kill()
    started_beside(node, gate)
    node.start(container)
    assert node.state_of(container) == "CONTAINER_RUNNING"
    until(lambda: (runs / "log").exists(), "it does not run")
    assert node.exec(container, "true").exit_code == 0
    assert (runs / "log").read_text() == "run\n"


def test_a_sandbox_whose_init_is_being_started_is_removed(node: Node) -> None:
    gate = Gate(node.directory / "bin", "crun", "/usr/bin/crun", 'case " $* " in *" run "*) true;; *) false;; esac')
    node.restart()
    gate.close()
    config = node.pod()
    call = node.cri.start("RunPodSandbox", config=config, runtime_handler="gated")
    gate.wait()
    assert not call.done()
    node.daemon.kill()
    started_beside(node, gate)
    pod = node.run_pod(config, "gated")
    assert [item.id for item in node.cri.call("ListPodSandbox").items] == [pod]


def test_a_death_while_runtimes_are_probed_leaves_nothing(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "bin", "crun", "/usr/bin/crun", 'case " $* " in *" delete "*) true;; *) false;; esac')
    with Node.made(tmp_path, handlers={"gated": {"path": str(gate.path)}}) as node:
        node.daemon.stop()
        for remembered in (node.state / "probe").glob("*.json"):
            remembered.unlink()
        gate.close()
        node.daemon.launch()
        gate.wait()
        node.daemon.kill()
        started_beside(node, gate)
        node.assert_clean()


def test_effects_are_counted_only_when_a_test_asks(tmp_path: Path) -> None:
    with Node.made(tmp_path) as node:
        effects = Effects(tmp_path / "effects")
        node.daemon.stop()
        node.daemon.start(**effects.env)
        node.run_pod()
        assert not (effects.directory / "log").exists()
        node.remove_pods()
        node.assert_clean()
