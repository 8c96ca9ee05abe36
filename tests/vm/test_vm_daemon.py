"""contrib/systemd/cricket.service: started, reloaded, restarted, killed, while containers go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness.node import until
from vm_node import FOREVER, SOCKET, VmNode, journal, show, systemctl

pytestmark = pytest.mark.root
COUNTING = ("sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done")


def test_systemd_knows_when_it_serves(service: VmNode) -> None:
    assert show("cricket", "Type") == "notify" and show("cricket", "ActiveState") == "active"
    systemctl("restart", "cricket")
    # `restart` waits for READY=1: without a moment's pause there is an answer.
    service.connect()
    assert "serves after" in journal("cricket")
    assert (os.stat(SOCKET).st_mode & 0o777) == 0o660


def test_the_command_line_reaches_it(service: VmNode, image: str) -> None:
    assert "cricket" in service.cricket("version").lower()
    assert image.rpartition(":")[0] in service.cricket("images")


@pytest.mark.parametrize("how", ["restart", "stop and start", "kill"])
def test_containers_go_on(node: VmNode, image: str, handler: str, how: str) -> None:
    pod = node.run_pod(node.pod(), handler)
    container = node.run(pod, node.container(image, *COUNTING))
    pid, old = node.pid(container), show("cricket", "MainPID")
    if how == "kill":
        systemctl("kill", "--kill-whom=main", "--signal=KILL", "cricket")
        until(
            lambda: show("cricket", "ActiveState") == "active" and show("cricket", "MainPID") != old, "no restart", 60
        )
    else:
        for verb in how.split(" and "):
            systemctl(verb, "cricket")
    node.connect()
    assert show("cricket", "MainPID") != old
    assert node.state_of(container) == "CONTAINER_RUNNING" and node.pid(container) == pid
    before = node.log_of(container).count("\n")
    until(lambda: node.log_of(container).count("\n") > before, "the log has stopped")
    lines = [line.split(" ", 3)[3] for line in node.log_of(container).splitlines()]
    assert lines == [f"line {n}" for n in range(1, len(lines) + 1)], "lines were lost, or others written"
    assert node.output(container, "echo", "here") == "here\n"


def test_an_exit_while_the_service_is_stopped_is_told(node: VmNode, image: str, handler: str) -> None:
    pod = node.run_pod(node.pod(), handler)
    container = node.run(pod, node.container(image, "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 7"))
    pid = node.pid(container)
    systemctl("stop", "cricket")
    Path(f"/proc/{pid}/root/tmp/go").touch()
    until(lambda: not Path(f"/proc/{pid}").exists(), "it does not exit")
    systemctl("start", "cricket")
    node.connect()
    status = node.wait_exit(container)
    assert (status.exit_code, status.reason) == (7, "Error")


def test_reload(service: VmNode) -> None:
    drop_in = Path("/etc/cricket/config.toml.d/50-test.toml")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text('[log]\nlevel = "debug"\n')
    old = show("cricket", "MainPID")
    systemctl("reload", "cricket")
    until(
        lambda: "log.level" in journal("cricket", "--grep=configuration reloaded"), "it does not say what it reloaded"
    )
    drop_in.unlink()
    systemctl("reload", "cricket")
    assert show("cricket", "MainPID") == old


def test_a_broken_configuration_is_told_and_not_restarted_for_ever(service: VmNode) -> None:
    """A bad file must not take a running daemon down, and a start with it must name the key."""
    drop_in = Path("/etc/cricket/config.toml.d/50-test.toml")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text('[log]\nlevel = "lots"\n')
    try:
        systemctl("reload", "cricket")
        service.connect()
        until(lambda: "not reloaded" in journal("cricket"), "the reason is not told")
        assert "log.level" in journal("cricket", "--grep=not reloaded")
    finally:
        drop_in.unlink()


def test_systemd_may_read_its_configuration_anew(node: VmNode, image: str, handler: str) -> None:
    container = node.run(node.run_pod(node.pod(), handler), node.container(image, *FOREVER))
    for verb in ("daemon-reload", "daemon-reexec"):
        systemctl(verb)
    assert node.state_of(container) == "CONTAINER_RUNNING"
    assert node.output(container, "echo", "here") == "here\n"


def test_the_journal_has_no_traceback(service: VmNode) -> None:
    text = journal("cricket")
    assert "Traceback" not in text, text[-4000:]
