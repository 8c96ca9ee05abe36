"""`cricket run POD.yaml`: logs, ports, Ctrl-C, exit codes; with the node's daemon and with one of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from harness.node import Node, until

pytestmark = pytest.mark.root
_MAIN = "import sys; from cricket.cli.main import main; sys.exit(main())"
EXAMPLE = Path(__file__).parents[3] / "examples" / "web.yaml"


def _cricket(directory: Path, *words: str, runtime: str) -> subprocess.Popen[str]:
    env = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-c", _MAIN, "run", "-r", f"unix://{runtime}", "--root", str(directory / "root"), *words]
    with open(directory / "out", "wb") as out:
        return subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT, text=True)


def _manifest(directory: Path, image: str, *commands: str, policy: str = "Never") -> str:
    containers = "".join(
        f"  - {{name: c{at}, image: {image!r}, command: [sh, -c, {command!r}]}}\n"
        for at, command in enumerate(commands)
    )
    path = directory / "pod.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: job}\nspec:\n"
        f"  restartPolicy: {policy}\n  terminationGracePeriodSeconds: 5\n  containers:\n{containers}"
    )
    return str(path)


def test_logs_and_exit_code(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    path = _manifest(tmp_path, busybox_ref, "echo one; exit 7", "echo two")
    process = _cricket(tmp_path, path, runtime=node.socket)
    assert process.wait(40) == 7, (tmp_path / "out").read_text()
    out = (tmp_path / "out").read_text()
    assert re.search(r"^c0 +\| one$", out, re.M) and re.search(r"^c1 +\| two$", out, re.M)
    assert not list((tmp_path / "root").glob("runs/*"))
    node.assert_clean("the run")


def test_success(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    process = _cricket(tmp_path, _manifest(tmp_path, busybox_ref, "exit 0"), runtime=node.socket)
    assert process.wait(40) == 0, (tmp_path / "out").read_text()


def test_interrupt_gives_grace(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    wait = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    process = _cricket(tmp_path, _manifest(tmp_path, busybox_ref, wait), runtime=node.socket)
    out = tmp_path / "out"
    until(lambda: "up" in out.read_text(), "it does not start")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert "bye" in out.read_text()
    node.assert_clean("the run")


def test_example_serves(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("docker.io/library/busybox:1.36", busybox_ref)
    (tmp_path / "web.yaml").write_text(text)
    process = _cricket(tmp_path, "-p", ":8080", str(tmp_path / "web.yaml"), runtime=node.socket)
    out = tmp_path / "out"
    until(lambda: "listening on port 8080" in out.read_text(), out.read_text())
    found = re.search(r"^cricket +\| Forwarding from (127\.0\.0\.1:\d+) -> 8080$", out.read_text(), re.M)
    assert found is not None, out.read_text()

    def served() -> bool:
        try:
            return b"It chirps." in urllib.request.urlopen(f"http://{found.group(1)}/", timeout=5).read()
        except OSError:
            return False

    until(served, "the page is not served")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130, out.read_text()
    node.assert_clean("the run")


def test_broken_manifest(node: Node, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {container: []}\n")
    process = _cricket(tmp_path, str(tmp_path / "pod.yaml"), runtime=node.socket)
    assert process.wait(20) == 1
    assert "spec.container" in (tmp_path / "out").read_text()


def test_taken_port(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = _manifest(tmp_path, busybox_ref, "sleep 100")
        words = ("-p", f"{taken.getsockname()[1]}:80", path)
        process = _cricket(tmp_path, *words, runtime=node.socket)
        assert process.wait(30) == 1
    assert "cannot listen" in (tmp_path / "out").read_text()
    node.assert_clean("the run")
