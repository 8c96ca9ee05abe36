"""exec, attach and port-forward as a user runs them: with pipes and terminals, over a real streaming server."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Cricket = Any
LIMIT = 20.0
TRANSPORTS = ("spdy", "websocket")


@pytest.fixture
def container(cricket: Cricket, tmp_path: Path) -> str:
    pod, config = tmp_path / "pod.json", tmp_path / "container.json"
    pod.write_text(json.dumps({"metadata": {"name": "shop"}}))
    config.write_text(json.dumps({"metadata": {"name": "web"}, "image": {"image": "busybox"}}))
    code, out, _ = cricket("run", str(config), str(pod))
    assert code == 0
    return str(out.strip())


def _command(*words: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from cricket.cli.main import main; sys.exit(main())", *words]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_exec_with_pipes(container: str, transport: str) -> None:
    words = ("exec", "-i", "--transport", transport, "web", "sh", "-c", "cat; echo err >&2; exit 9")
    data = os.urandom(300_000)
    done = subprocess.run(_command(*words), input=data, capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (9, data, b"err\n")


def test_exec_takes_a_file_and_no_input(container: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"from a file")
    with path.open("rb") as file:
        done = subprocess.run(_command("exec", "-i", "web", "cat"), stdin=file, capture_output=True, timeout=LIMIT)
    assert done.stdout == b"from a file"
    done = subprocess.run(_command("exec", "web", "--", "cat"), input=b"unread", capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (0, b"")


def test_exec_of_what_ends_by_a_signal(container: str) -> None:
    done = subprocess.run(_command("exec", "web", "sh", "-c", "kill -9 $$"), capture_output=True, timeout=LIMIT)
    assert done.returncode == 137


class User:
    """Somebody at a terminal who runs one command."""

    def __init__(self, *words: str) -> None:
        self.master, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        termios.tcsetwinsize(self.slave, (24, 80))
        self.process = subprocess.Popen(
            _command(*words), stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + LIMIT
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode()

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self) -> int:
        """The exit code; the terminal must be as it was."""
        code = self.process.wait(LIMIT)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def users() -> Iterator[list[User]]:
    found: list[User] = []
    yield found
    for user in found:
        user.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_terminal_session(container: str, users: list[User], transport: str) -> None:
    # Sizes travel on a channel of their own: the command sees them some time after its start.
    has = "until [ \"$(stty size)\" = '{}' ]; do sleep 0.01; done; echo now {};"
    script = has.format("24 80", "first") + has.format("30 100", "second") + "exit 5"
    user = User("exec", "-it", "--transport", transport, "web", "sh", "-c", script)
    users.append(user)
    user.wait_for("now first")
    assert user.is_raw()
    termios.tcsetwinsize(user.slave, (30, 100))
    user.process.send_signal(signal.SIGWINCH)
    user.wait_for("now second")
    assert user.end() == 5


def test_ctrl_c_goes_to_the_command(container: str, users: list[User]) -> None:
    user = User("exec", "-it", "web", "sh", "-c", "trap 'exit 33' INT; echo ready; while :; do read x; done")
    users.append(user)
    user.wait_for("ready")
    user.type("\x03")
    assert user.end() == 33


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_killed_client_gives_the_terminal_back(container: str, users: list[User], number: signal.Signals) -> None:
    user = User("exec", "-it", "web", "sh", "-c", "echo ready; sleep 60")
    users.append(user)
    user.wait_for("ready")
    assert user.is_raw()
    user.process.send_signal(number)
    assert user.end() == 128 + number


def test_attach_and_leave(container: str, users: list[User]) -> None:
    user = User("attach", "-it", "web")
    users.append(user)
    user.type("hello\r")
    user.wait_for("hello[\\s\\S]*hello")
    user.type("\x10\x11")
    assert user.end() == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_port_forward(container: str, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        remote = server.getsockname()[1]
        command = _command("port-forward", "--transport", transport, "shop", f":{remote}", ":1")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                _use(process)
                process.send_signal(signal.SIGINT)
                assert process.wait(LIMIT) == 0
                assert process.stderr and process.stderr.read() == ""
            finally:
                process.kill()
                server.shutdown(socket.SHUT_RDWR)  # wakes the thread


def _use(process: subprocess.Popen[str]) -> None:
    """The first port leads to an echo, the second one nowhere."""
    assert process.stdout and process.stderr
    ports = []
    for _ in range(2):
        match = re.fullmatch(r"127\.0\.0\.1:(\d+) -> shop:\d+\n", process.stdout.readline())
        assert match
        ports.append(int(match.group(1)))
    for _ in range(3):
        assert _talk(ports[0], b"x" * 100_000) == b"x" * 100_000
    assert _talk(ports[1], b"") == b""  # told on standard error, closed here
    assert "(port 1)" in process.stderr.readline()
    assert _talk(ports[0], b"again") == b"again"


def _echo(server: socket.socket) -> None:
    """Answers each connection, at its end of input, with all that came."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(_all(connection))


def _talk(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return _all(connection)


def _all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(65536):
        parts.append(data)
    return b"".join(parts)


def test_port_forward_at_several_addresses(container: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        words = ("port-forward", "--address", "127.0.0.2,127.0.0.3", "shop", f":{server.getsockname()[1]}")
        with subprocess.Popen(_command(*words), stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                lines = [process.stdout.readline().partition(" ")[0].split(":") for _ in range(2)]
                assert [host for host, _ in lines] == ["127.0.0.2", "127.0.0.3"] and lines[0][1] == lines[1][1]
                for host, port in lines:
                    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
                        connection.sendall(b"there")
                        connection.shutdown(socket.SHUT_WR)
                        assert _all(connection) == b"there"
                process.send_signal(signal.SIGTERM)
                assert process.wait(LIMIT) == 0
            finally:
                process.kill()
                server.shutdown(socket.SHUT_RDWR)


def test_a_port_that_is_taken(cricket: Cricket, container: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, _, error = cricket("port-forward", "shop", f"{port}:80")
        assert code == 1 and error.startswith(f"cricket: cannot listen (127.0.0.1:{port})")


def test_a_pod_that_is_not_ready(cricket: Cricket) -> None:
    assert cricket("port-forward", "nothing", "80")[0] == 3
    assert cricket("port-forward", "nothing", "80:0")[0] == 2
