"""The daemon as a process: beside another one, under an odd umask, told to stop while it works."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cri import CriError
from harness.daemon import DaemonProcess
from harness.node import Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root


@pytest.mark.parametrize("shared", ["root", "state"])
def test_a_second_daemon_on_the_same_directories_is_refused(
    pods: Node, busybox_ref: str, tmp_path: Path, shared: str
) -> None:
    container = pods.run(pods.run_pod(), pods.container(busybox_ref, "sleep", "1000000"))
    config = {**pods.daemon.config, "socket": str(tmp_path / "socket")}
    other = "root" if shared == "state" else "state"
    config[other] = str(tmp_path / other)
    second = DaemonProcess(tmp_path, config, pods.token)
    with pytest.raises(AssertionError, match="another cricket daemon"):
        second.start()
    assert pods.exec(container, "echo", "alive").stdout == b"alive\n"


@pytest.fixture
def careful(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    """A node whose daemon was started by somebody with the umask 077."""
    old = os.umask(0o077)
    try:
        with Node.made(tmp_path, registry=registry) as node:
            os.umask(old)
            tmp_path.chmod(0o755)
            node.pull(busybox_ref)
            yield node
    finally:
        os.umask(old)


def test_a_narrow_umask_of_the_daemon_does_not_reach_containers(careful: Node, busybox_ref: str) -> None:
    files = "/etc/hosts /etc/resolv.conf /etc/hostname /dev/null /dev/shm"
    config = careful.container(
        busybox_ref, "sh", "-c", f"for f in {files}; do test -r $f || exit 1; done; : >/dev/null"
    )
    config["linux"]["security_context"]["run_as_user"] = {"value": 1000}
    container = careful.run(careful.run_pod(), config)
    assert careful.wait_exit(container).exit_code == 0, careful.log_of(container)


@pytest.fixture
def stuck(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[tuple[Node, Path]]:
    """A node whose network hangs as long as a file is there."""
    plugin_dir, flag = tmp_path / "plugins", tmp_path / "hang"
    plugin_dir.mkdir()
    plugin = plugin_dir / "hangs"
    plugin.write_text(
        "#!/bin/sh\n"
        f"while [ -e {flag} ]; do sleep 0.05; done\n"
        "case $CNI_COMMAND in\n"
        'VERSION) echo \'{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}\';;\n'
        'ADD) echo \'{"cniVersion": "1.0.0", "ips": [{"address": "10.99.0.2/24"}]}\';;\n'
        "esac\n"
    )
    plugin.chmod(0o755)
    with Node.made(tmp_path / "node", registry=registry) as node:
        node.daemon.write_config(network={"bin_dirs": [str(plugin_dir)]})
        node.network.conf_dir.joinpath("10-test.conflist").write_text(
            '{"cniVersion": "1.0.0", "name": "hangs", "plugins": [{"type": "hangs"}]}'
        )
        for other in node.network.conf_dir.iterdir():
            if other.name != "10-test.conflist":
                other.unlink()
        node.restart()
        node.pull(busybox_ref)
        yield node, flag
        flag.unlink(missing_ok=True)
        node.remove_pods()
        node.assert_clean()


def _runs(text: str) -> bool:
    return text in subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout


def _why(node: Node, subject: str) -> str:
    command = "import sys; from cricket.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", command, "-r", f"unix://{node.socket}", "why", subject]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_a_stop_does_not_wait_for_ever_for_what_hangs(stuck: tuple[Node, Path]) -> None:
    node, flag = stuck
    config = node.pod()
    flag.touch()
    hanging = node.cri.start("RunPodSandbox", config=config)
    until(lambda: _runs(str(node.daemon.config["network"]["bin_dirs"][0])), "the plugin is not called")
    assert "CNI plugin hangs ADD" in _why(node, "test/pod1")
    began = time.monotonic()
    assert node.daemon.stop() == 0
    assert time.monotonic() - began < 25
    assert hanging.exception() is not None
    assert "closed database" not in node.daemon.log()
    assert "left to the next start" in node.daemon.log()
    flag.unlink()
    node.daemon.start()
    assert node.pod_status(node.run_pod(config)).state == 0, "a retry succeeds"


def test_what_cannot_be_undone_is_tried_again_without_being_asked(stuck: tuple[Node, Path]) -> None:
    """ADD and DEL fail; nobody ever asks for this pod again."""
    node, _ = stuck
    plugin = Path(node.daemon.config["network"]["bin_dirs"][0]) / "hangs"
    works = plugin.read_text()
    plugin.write_text('#!/bin/sh\necho \'{"cniVersion": "1.0.0", "code": 7, "msg": "broken"}\'; exit 1\n')
    with pytest.raises(CriError, match="broken"):
        node.run_pod()
    assert os.listdir(node.state / "sandboxes"), "its remains are known"
    plugin.write_text(works)
    until(lambda: not os.listdir(node.state / "sandboxes"), "it is not tried again", 20)
