"""`cricket top` and the live tables as a user runs them: in a pseudo terminal, whose screen is looked at."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.pictures.screen import Screen

Cricket = Any
Node = Any
LIMIT = 20.0


class Terminal:
    """A command in a terminal of its own, and what its screen shows."""

    def __init__(self, *words: str, columns: int = 100, rows: int = 24, **env: str) -> None:
        self.master, self.slave = os.openpty()
        self.screen, self.said = Screen(columns, rows), b""
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        code = "import sys; from cricket.cli.main import main; sys.exit(main())"
        self.process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-c", code, *words],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env={**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **env},
        )

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, sight: str) -> str:
        """Wait until the screen shows this pattern; the screen."""
        deadline = time.monotonic() + LIMIT
        while not re.search(sight, self.screen.text(), re.MULTILINE):
            assert time.monotonic() < deadline, f"no {sight!r}:\n{self.screen.text()}"
            self.read(0.1)
        return self.screen.text()

    def read(self, seconds: float) -> None:
        """Take what comes within that time."""
        if select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.said += data
            self.screen.feed(data.decode("utf-8", "replace"))

    def end(self) -> int:
        """Wait for the end; the exit code. The terminal is as it was."""
        code = self.process.wait(LIMIT)
        while select.select([self.master], [], [], 0)[0]:
            self.said += os.read(self.master, 65536)
        assert termios.tcgetattr(self.slave) == self.before
        entered, left = self.said.rfind(b"\x1b[?1049h"), self.said.rfind(b"\x1b[?1049l")
        assert left >= entered and self.said.count(b"\x1b[?25l") <= self.said.count(b"\x1b[?25h")
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def pod(cricket: Cricket, tmp_path: Path) -> str:
    """A pod with a container that has written something; the container's id."""
    log = tmp_path / "web.log"
    log.write_text("2026-01-01T00:00:00.000000000Z stdout F listening on port 80\n")
    config, container = tmp_path / "pod.json", tmp_path / "container.json"
    config.write_text(json.dumps({"metadata": {"name": "shop"}, "log_directory": str(tmp_path)}))
    container.write_text(
        json.dumps({"metadata": {"name": "web"}, "image": {"image": "busybox"}, "log_path": "web.log"})
    )
    code, out, error = cricket("run", str(container), str(config))
    assert code == 0, error
    return str(out.strip())


@pytest.fixture
def top(pod: str) -> Iterator[Terminal]:
    terminal = Terminal("top", "--interval", "0.2")
    yield terminal
    terminal.close()


def test_live_until_q(top: Terminal, pod: str) -> None:
    shown = top.until(r"^▾ default/shop +Ready")
    assert re.search(r"^  └ web +Running", shown, re.MULTILINE)
    top.type("ji")
    shown = top.until("listening on port 80")
    assert f"default/shop/web {pod[:13]}" in shown
    top.type("/nothing\r")
    top.until("nothing fits 'nothing'")
    top.type("\x1b\x1b?")
    top.until("What the columns say")
    top.type("xq")
    assert top.end() == 0


def test_another_size_is_another_picture(top: Terminal) -> None:
    top.until("default/shop")
    assert " LIMIT " not in top.screen.text()
    top.screen = Screen(160, 30)
    top.resize(160, 30)
    top.process.send_signal(signal.SIGWINCH)
    shown = top.until(" LIMIT ")
    assert shown.splitlines()[29].startswith("q quit")
    top.type("q")
    assert top.end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_give_the_terminal_back(top: Terminal, number: int, code: int) -> None:
    top.until("default/shop")
    top.process.send_signal(number)
    assert top.end() == code


def test_a_runtime_that_goes_away_is_waited_for(top: Terminal, node: Node) -> None:
    top.until("default/shop")
    node.run(node._server.stop(0.0))
    node.run(node._streaming.stop())  # `_start` makes another
    shown = top.until("^runtime gone  the daemon cannot be reached.*trying again")
    assert "default/shop" in shown
    node.run(node._start())
    top.until("^cricket top ")
    top.type("q")
    assert top.end() == 0


def test_an_exception_gives_the_terminal_back(pod: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import cricket.cli.top.live as live\ndef broken(*_): raise RuntimeError('a bug')\nlive.screenful = broken\n"
    )
    terminal = Terminal("top", PYTHONPATH=str(tmp_path))
    try:
        terminal.until("RuntimeError: a bug")
        assert terminal.end() == 1
    finally:
        terminal.close()


def test_so_many_frames(pod: str) -> None:
    terminal = Terminal("top", "-n", "3", "--interval", "0.1")
    try:
        assert terminal.end() == 0
        assert b"default/" in terminal.said
    finally:
        terminal.close()


def test_a_dumb_terminal_gets_text(pod: str) -> None:
    terminal = Terminal("top", "-n", "2", "--interval", "0.1", TERM="dumb")
    try:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.said and terminal.said.count(b"cricket top  ") == 2
    finally:
        terminal.close()


def test_frames_for_pipes_and_programs(cricket: Cricket, pod: str) -> None:
    code, out, _ = cricket("top", "--once", "--interval", "0.1")
    assert code == 0 and re.search(r"^. default/shop +Ready", out, re.MULTILINE) and "\x1b" not in out
    made = json.loads(cricket("top", "--once", "--interval", "0.1", "-o", "json")[1])
    container = made["pods"][0]["containers"][0]
    assert container["id"] == pod and container["memoryBytes"] == 40_000_000 and container["cpuPercent"] > 0
    lines = cricket("top", "-n", "2", "--interval", "0.1", "-o", "json")[1].splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["time"] > json.loads(lines[0])["time"]
    assert cricket("top", "--once", "--interval", "0.1", "nothing", "-o", "jsonpath={.pods}")[1] == "[]"


def test_a_runtime_that_is_not_there_from_the_start_is_an_error(cricket: Cricket, tmp_path: Path) -> None:
    code, _, error = cricket("top", "--once", "-r", f"unix://{tmp_path}/no.sock")
    assert code == 4 and "cannot be reached" in error


def test_live_tables_stay_in_place(pod: str) -> None:
    for command in ("stats", "statsp"):
        terminal = Terminal(command, "-w", "--interval", "0.1")
        try:
            shown = terminal.until("shop")
            while terminal.said.count(b"CPU%") < 3:
                terminal.read(LIMIT)
            assert terminal.screen.text().count("CPU%") == 1 and shown.splitlines()[0].split()[-1] in ("INODES", "PIDS")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 130
        finally:
            terminal.close()
