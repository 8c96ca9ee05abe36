"""Completion with a runtime: names and ids over a real socket, and the Tab key in a real bash."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cricket.cli.completion.answer import lines
from cricket.cli.completion.scripts import SCRIPTS

Cricket = Any
CODE = "import sys; from cricket.cli.main import main; sys.exit(main())"
_LIMIT = 20.0


def offered(*words: str) -> list[str]:
    return [line.split("\t")[0] for line in lines(words)]


@pytest.fixture
def pods(cricket: Cricket, tmp_path: Path) -> dict[str, str]:
    """Two pods with a container `web` each, one of which has ended; another container, and an image. Ids by name."""
    ids = {}
    for pod, namespace, names in (("shop", "default", ("web", "queue")), ("shop", "test", ("web",))):
        config = tmp_path / f"{namespace}.json"
        config.write_text(json.dumps({"metadata": {"name": pod, "uid": namespace, "namespace": namespace}}))
        code, out, _ = cricket("runp", str(config))
        ids[f"{namespace}/{pod}"] = sandbox = out.strip()
        assert code == 0
        for name in names:
            labels = {"io.kubernetes.pod.name": f"{pod}-{namespace}"}
            container = tmp_path / "container.json"
            container.write_text(
                json.dumps({"metadata": {"name": name}, "image": {"image": "quay.io/x/busybox:1"}, "labels": labels})
            )
            code, out, error = cricket("create", sandbox, str(container), str(config))
            assert code == 0, error
            ids[f"{namespace}/{name}"] = out.strip()
            assert cricket("start", out.strip())[0] == 0
    assert cricket("stop", "-t", "0", ids["default/queue"])[0] == 0
    return ids


def test_names_and_ids(pods: dict[str, str]) -> None:
    assert offered("rm", "q") == ["queue"]
    assert set(offered("rm", "")) == {"queue", "shop-default/web", "shop-test/web"}
    assert set(offered("stop", "")) == {"shop-default/web", "shop-test/web"}  # what has ended cannot be stopped
    assert offered("start", "") == []
    assert set(offered("stop", "shop-test/web", "")) == {"shop-default/web"}
    assert set(offered("stopp", "")) == {"default/shop", "test/shop"}
    assert "quay.io/x/busybox:1" in offered("rmi", "quay")
    assert set(offered("pods", "--namespace", "")) == {"default", "test"}
    assert {"shop-default/web:", ":file", ":nospace"} <= set(offered("cp", ""))
    for name, key in pods.items():
        kind = "inspect" if "shop" in name else "rm"
        assert key[:13] in offered(kind, key[:4])


def test_what_is_said_about_them(pods: dict[str, str]) -> None:
    assert "queue\texited, pod shop-default" in lines(["rm", "que"])
    assert "shop-test/web\trunning" in lines(["stop", "shop-t"])
    assert "default/shop\tready" in lines(["stopp", "default"])


def test_the_option_names_the_runtime(pods: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    url = os.environ["CONTAINER_RUNTIME_ENDPOINT"]
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///nonexistent")
    for option in (["-r", url], [f"--runtime-endpoint={url}"], ["-r", url.removeprefix("unix://")]):
        assert offered(*option, "rm", "q") == offered("rm", *option, "q") == ["queue"]


class Terminal:
    """bash on a terminal of its own."""

    def __init__(self, directory: Path) -> None:
        program = directory / "bin" / "cricket"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(CODE)} "$@"\n')
        program.chmod(0o755)
        (directory / "script").write_text(SCRIPTS["bash"])
        path = f"{program.parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "PS1": "READY ", "TERM": "dumb", "INPUTRC": "/dev/null"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], environment)
        self.wait_for("READY ")
        self.type(f"source {shlex.quote(str(directory / 'script'))}\n")
        self.wait_for("READY ")

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def wait_for(self, text: str) -> str:
        """What is shown until this text is in it."""
        shown, until = "", time.monotonic() + _LIMIT
        while text not in shown:
            ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
            assert ready, f"{text!r} does not appear, but {shown!r}"
            shown += os.read(self.fd, 65536).decode(errors="replace")
        return shown

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with contextlib.closing(Terminal(tmp_path)) as terminal:
        yield terminal


def test_the_tab_key(pods: dict[str, str], terminal: Terminal) -> None:
    """The line that readline makes is shown by bash itself, by running it."""
    terminal.type("cricket ps --st\tru\t\n")  # an option, and one of its values
    assert "--state running" in (shown := terminal.wait_for("READY ")) and "  web " in shown
    terminal.type("echo; cricket rmi quay.io/x/busy\t\n")  # the colon in it is a break for bash
    assert "quay.io/x/busybox:1" in terminal.wait_for("READY ")
    terminal.type("cricket config che\t--config /nonexistent\n")
    assert "does not exist (/nonexistent)" in terminal.wait_for("READY ")
