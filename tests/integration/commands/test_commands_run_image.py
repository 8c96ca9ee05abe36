"""`cricket run IMAGE` as docker users have it, on each runtime."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from harness.node import Node, until

pytestmark = pytest.mark.root
Cricket = Any
LOGS = Path("/var/log/pods")


def test_to_its_end(cricket: Cricket, node: Node, image: str, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("of this host")
    script = "echo $A $(id -u) $(pwd); cat file; echo err >&2; exit 7"
    words = ("--name", "gone", "-e", "A=b", "-u", "5", "-v", "./d:/d:ro", "-w", "/d", image, "sh", "-c", script)
    done = cricket("run", "--rm", *words)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"b 5 /d\nof this host", b"err\n")
    assert not list(LOGS.glob("default_gone_*"))
    node.assert_clean("the run")
    # What is not removed has given back its network, and keeps its log.
    done = cricket("run", "--name", "kept", image, "echo", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    assert cricket.ok("logs", "kept/main") == "hello\n"
    assert "NotReady" in cricket.ok("pods") and cricket("run", "--name", "kept", image).returncode == 1
    assert list(LOGS.glob("default_kept_*"))
    cricket.ok("rmp", "kept")
    assert not list(LOGS.glob("default_kept_*"))
    node.assert_clean("its removal")


def test_input(cricket: Cricket, node: Node, image: str) -> None:
    data = os.urandom(300_000)
    done = cricket("run", "-i", "--rm", image, "cat", input=data)
    assert (done.returncode, done.stdout) == (0, data), done.stderr
    node.assert_clean("the run")


def test_what_does_not_start_leaves_nothing(cricket: Cricket, node: Node, image: str) -> None:
    done = cricket("run", "--rm", image, "/no/such")
    assert done.returncode == 1 and b"no such" in done.stderr.lower()
    assert cricket("run", "--pull", "never", "127.0.0.1:1/none:1").returncode == 3
    node.assert_clean("the failures")


def test_detached_with_a_port(cricket: Cricket, node: Node, image: str, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("served")
    words = ("-d", "--name", "web", "-p", "127.0.0.1::8080", "-v", "./site:/site", image)
    done = cricket("run", *words, "httpd", "-f", "-p", "8080", "-h", "/site")
    assert done.returncode == 0, done.stderr
    port = int(done.stderr.split()[1])

    def served() -> bool:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read() == b"served"
        except OSError:
            return False

    until(served, "the page is not served")
    cricket.ok("rmp", "-f", "web")
    node.assert_clean("the pod")


def test_interrupts(cricket: Cricket, node: Node, image: str, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    with open(tmp_path / "out", "wb") as out:
        process = cricket.start("run", "--rm", image, "sh", "-c", script, stdout=out, stderr=subprocess.STDOUT)
    until(lambda: "up" in (tmp_path / "out").read_text(), "it does not start")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130 and "bye" in (tmp_path / "out").read_text()
    node.assert_clean("the run")


def test_a_terminal(cricket: Cricket, node: Node, image: str) -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    termios.tcsetwinsize(slave, (33, 99))
    words = ("run", "-it", "--rm", "--hostname", "here", image, "sh")
    process = cricket.start(*words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    seen = ""

    def shows(text: str) -> bool:
        nonlocal seen
        os.set_blocking(master, False)
        try:
            seen += os.read(master, 65536).decode()
        except BlockingIOError:
            return False
        return text in seen

    until(lambda: shows("# "), "no prompt")
    os.write(master, b"echo $(hostname) $(stty size); exit 9\r")
    until(lambda: shows("here 33 99"), "no answer")
    assert process.wait(20) == 9 and termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)
    node.assert_clean("the run")
