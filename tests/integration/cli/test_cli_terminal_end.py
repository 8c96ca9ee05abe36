"""However a session with a terminal ends, the terminal is as it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from test_cli_streams import LIMIT, User, _command, container

__all__ = ["container"]
Node = Any
SHELL = ("exec", "-it", "web", "sh", "-c", "echo ready; exec sleep 60")


@pytest.fixture
def users() -> Iterator[list[User]]:
    found: list[User] = []
    yield found
    for user in found:
        user.close()


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_one_after_the_other(container: str, users: list[User], number: signal.Signals) -> None:
    user = User(*SHELL)
    users.append(user)
    user.wait_for("ready")
    user.process.send_signal(number)
    user.process.send_signal(signal.SIGTERM)
    # The second one may come when all is done.
    assert user.end() in (128 + number, 128 + signal.SIGTERM, -signal.SIGTERM)


_EARLY = """
import os, signal, sys, termios, tty
from cricket.cli import terminal
setraw = tty.setraw
def early(*args):
    setraw(*args)
    os.kill(os.getpid(), signal.SIGTERM)
terminal.tty.setraw = early
from cricket.cli.main import main
sys.exit(main())
"""


def test_a_signal_between_the_terminal_and_the_loop(container: str, users: list[User]) -> None:
    user = User(*SHELL)
    users.append(user)
    user.process.kill()
    user.process.wait()
    termios.tcsetattr(user.slave, termios.TCSANOW, user.before)
    user.process = subprocess.Popen(
        [sys.executable, "-c", _EARLY, *SHELL], stdin=user.slave, stdout=user.slave, stderr=user.slave,
        start_new_session=True,
    )  # fmt: skip
    assert user.end() == 128 + signal.SIGTERM


def test_the_streaming_server_goes_away(node: Node, container: str, users: list[User]) -> None:
    user = User(*SHELL)
    users.append(user)
    user.wait_for("ready")
    assert user.is_raw()
    node.run(node._streaming.stop())
    assert user.end() == 1
    user.wait_for("the streaming connection ended without an exit status")


def test_the_output_goes_away(container: str, users: list[User]) -> None:
    """As with `| head`, while the keys are still the terminal's."""
    user = User(*SHELL)
    users.append(user)
    user.process.kill()
    user.process.wait()
    termios.tcsetattr(user.slave, termios.TCSANOW, user.before)
    out, theirs = os.pipe()
    words = _command("exec", "-it", "web", "sh", "-c", "while echo y; do :; done")
    user.process = subprocess.Popen(words, stdin=user.slave, stdout=theirs, stderr=user.slave, start_new_session=True)
    os.close(theirs)
    assert b"y" in os.read(out, 100)
    os.close(out)
    assert user.end() == 141


def test_a_peer_that_takes_nothing(
    node: Node, container: str, users: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is gone: the server is there and neither reads nor writes. A signal still ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            connection, _ = server.accept()
            taken.append(connection)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            answer = (
                "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1",
                "X-Stream-Protocol-Version: v4.channel.k8s.io", "", "",
            )  # fmt: skip
            connection.sendall("\r\n".join(answer).encode())

        thread = threading.Thread(target=accept)
        thread.start()

        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        monkeypatch.setattr(node._streaming, "exec_url", lambda request: url)
        user = User(*SHELL)
        users.append(user)
        thread.join(LIMIT)
        assert taken
        user.process.send_signal(signal.SIGTERM)
        assert user.end() == 128 + signal.SIGTERM
        taken[0].close()
