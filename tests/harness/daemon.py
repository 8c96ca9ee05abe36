"""The daemon as a process: started, told to stop, killed, started again, each time on the same directories."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cri import Cri

START_LIMIT = 60.0
_MAIN = "import sys; from cricket.daemon import main; sys.exit(main(sys.argv[1], {}))"


class DaemonEnded(AssertionError):
    """It ended before it served; `code` is its exit status, -n for signal n."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"the daemon ended with {code}:\n{log}")
        self.code = code


class DaemonProcess:
    """A daemon with a configuration of its own. `token` marks its processes in their environment (see leaks.py)."""

    def __init__(self, directory: Path, config: Mapping[str, Any], token: str) -> None:
        self.directory, self.token = directory, token
        self.config = dict(config)
        self.config_path, self.log_path = directory / "config.toml", directory / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._cri: Cri | None = None
        self.write_config()

    def write_config(self, **changes: Any) -> None:
        """Write the configuration file, with `changes` to its tables from now on."""
        for key, value in changes.items():
            old = self.config.get(key)
            self.config[key] = {**old, **value} if isinstance(old, dict) else value
        self.config_path.write_text(toml(self.config))

    @property
    def pid(self) -> int:
        """0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def cri(self) -> Cri:
        """The connection of this life."""
        if self._cri is None:
            self._cri = Cri(self.cri_socket())
        return self._cri

    def cri_socket(self) -> str:
        """Where CRI is served."""
        return str(self.config["socket"])

    def start(self, **env: str) -> Cri:
        """Start and wait until it serves. `env` is added to its environment."""
        self.launch(**env)
        return self.wait_ready()

    def launch(self, **env: str) -> None:
        """Start, without waiting."""
        assert not self.running, "the daemon runs already"
        address = f"\0cricket-test-{os.urandom(8).hex()}"
        # Nothing of ours, and .pyc files, without which every start is slower.
        ours = ("CRICKET_", "PYTEST_", "GRPC_", "PYTHONDONTWRITEBYTECODE")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        settings = {"CRICKET_TEST": self.token, "NOTIFY_SOCKET": "@" + address[1:], **env}
        self._ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready.bind(address)
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(self.command(), env=clean | settings, stderr=log, stdin=subprocess.DEVNULL)

    def command(self) -> list[str]:
        """What is executed."""
        return [sys.executable, "-c", _MAIN, str(self.config_path)]

    def ready_within(self, seconds: float) -> None:
        """Raises TimeoutError when it does not serve within so many seconds; it goes on."""
        self._ready.settimeout(seconds)
        self._ready.recv(4096, socket.MSG_PEEK)

    def wait_ready(self, limit: float = START_LIMIT) -> Cri:
        """Wait until it serves (sd_notify READY=1). Raises DaemonEnded when it ends before."""
        assert self._process is not None
        # The end of a process does not wake a socket: look for it now and then.
        self._ready.settimeout(0.1)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                if b"READY=1" in self._ready.recv(4096):
                    return self.cri
            except TimeoutError:
                if self._process.poll() is not None:
                    raise DaemonEnded(self.wait(), self.log()) from None
        self.kill()
        raise AssertionError(f"the daemon does not serve after {limit:g} s:\n{self.log()}")

    def stop(self) -> int:
        """SIGTERM, as a service manager does; containers go on. Returns the exit status. Idempotent."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL. Idempotent."""
        self._end(signal.SIGKILL)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait until it has ended by itself; the exit status, -n for signal n."""
        assert self._process is not None
        code = self._process.wait(timeout)
        self._forget()
        return code

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._forget()
            raise AssertionError(f"the daemon did not end within 30 s:\n{self.log()}") from None

    def _forget(self) -> None:
        self._process = None
        self._ready.close()
        if self._cri is not None:
            self._cri.close()
            self._cri = None

    def log(self, size: int = 6000) -> str:
        """The end of what it logged, over all of its lives."""
        try:
            return self.log_path.read_bytes()[-size:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""


def toml(table: Mapping[str, Any]) -> str:
    """Nested dicts of strings, numbers, booleans and lists as TOML."""
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{key}"
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str | Path):
        text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'
    return str(value)
