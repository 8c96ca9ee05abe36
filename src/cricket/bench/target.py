"""The runtimes under test: an endpoint, and how to recognise the processes that belong to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import msgspec

from cricket.client.connection import Client
from cricket.errors import CricketError, FailedPrecondition, InvalidArgument

IMAGE = "localhost/bench/busybox:1"
_PAUSE = "localhost/bench/pause:1"


class Target(msgspec.Struct, frozen=True):
    """A runtime that answers at `endpoint`; `pattern` matches its processes, monitors and shims included.

    `restart` stops and starts the daemon (not its containers) and waits until it answers; None when it is not ours.
    """

    name: str
    endpoint: str
    pattern: str
    restart: Callable[[], float] | None = None


def parse(word: str) -> tuple[str, str, str]:
    """ "NAME=ENDPOINT[=PATTERN]" of --against. Raises InvalidArgument."""
    name, _, rest = word.partition("=")
    endpoint, _, pattern = rest.partition("=")
    if not endpoint:
        raise InvalidArgument(f"{word!r} names no endpoint", todo="Write NAME=unix:///path[=REGEX], or containerd.")
    return name, endpoint, pattern or name


class _Daemon:
    """A process of ours that serves CRI at a socket."""

    def __init__(self, argv: list[str], endpoint: str, log: str) -> None:
        self._argv, self._endpoint, self._log = argv, endpoint, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; seconds until it answers. Raises FailedPrecondition when it does not within 60 s."""
        began = time.perf_counter()
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        while time.perf_counter() - began < 60 and self._process.poll() is None:
            with contextlib.suppress(CricketError), Client(self._endpoint) as client:
                client.call("Version")
                return time.perf_counter() - began
            time.sleep(0.005)
        raise FailedPrecondition("a daemon did not come up", where=self._log)

    def stop(self) -> None:
        """End it by SIGTERM. Idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def restart(self) -> float:
        """Stop and start; seconds from the start until it answers."""
        self.stop()
        return self.start()


def _cni(base: str, bridge: str, subnet: str) -> str:
    """The same network for every runtime: bridge, host-local and portmap, without masquerade."""
    directory = f"{base}/cni"
    os.makedirs(directory)
    bridged = {
        "type": "bridge",
        "bridge": bridge,
        "isGateway": True,
        "ipam": {"type": "host-local", "dataDir": f"{base}/ipam", "ranges": [[{"subnet": subnet}]]},
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    conf = {"cniVersion": "1.0.0", "name": bridge, "plugins": [bridged, portmap]}
    with open(f"{directory}/10-bench.conflist", "wb") as f:
        f.write(msgspec.json.encode(conf))
    return directory


@contextlib.contextmanager
def cricket(base: str, handler: str, number: int = 0, *, warm: int = 0) -> Iterator[Target]:
    """A Cricket of our own below `base`, with the image loaded and so many warm sandboxes; `number` tells it apart."""
    os.makedirs(base)
    bridge = f"crkbench{number}"
    conf_dir = _cni(base, bridge, f"10.{211 + number}.0.0/16")
    with open(f"{base}/config.toml", "w") as f:
        f.write(
            f'root = "{base}/root"\nstate = "{base}/run"\nsocket = "{base}/cricket.sock"\n'
            f'default_handler = "{handler}"\n[network]\nconf_dirs = ["{conf_dir}"]\nwarm_sandboxes = {warm}\n'
            "[nri]\nenable = false\n"
            '[log]\nlevel = "warning"\n'
        )
    endpoint = f"unix://{base}/cricket.sock"
    command = os.path.join(os.path.dirname(sys.executable), "cricket")
    daemon = _Daemon([command, "serve", "--config", f"{base}/config.toml"], endpoint, f"{base}/log")
    try:
        daemon.start()
        _run([command, "-r", endpoint, "load", f"{base}/../image"])
        name = f"cricket ({handler}, {warm} warm)" if warm else f"cricket ({handler})"
        yield Target(name, endpoint, f"{base}/(config.toml|run)", daemon.restart)
    finally:
        daemon.stop()
        _run(["ip", "link", "delete", bridge], check=False)


@contextlib.contextmanager
def containerd(base: str) -> Iterator[Target]:
    """Debian's containerd of our own below `base`, with runc. Raises FailedPrecondition when it is not installed."""
    os.makedirs(base)
    socket, bridge = f"{base}/containerd.sock", "ctdbench"
    conf_dir = _cni(base, bridge, "10.210.0.0/16")
    with open(f"{base}/config.toml", "w") as f:
        f.write(_CONTAINERD.format(base=base, socket=socket, conf_dir=conf_dir, pause=_PAUSE))
    daemon = _Daemon(["containerd", "--config", f"{base}/config.toml"], f"unix://{socket}", f"{base}/log")
    try:
        try:
            daemon.start()
        except FileNotFoundError as error:
            raise FailedPrecondition("containerd is not installed", todo="apt install containerd") from error
        archive = f"{base}/../image.tar"
        _run(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", "--all-platforms", archive])
        yield Target("containerd", f"unix://{socket}", f"{base}/|{base}", daemon.restart)
    finally:
        daemon.stop()
        _run(["ip", "link", "delete", bridge], check=False)


_CONTAINERD = """\
version = 2
root = "{base}/root"
state = "{base}/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{base}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{conf_dir}"
"""


def _run(argv: list[str], *, check: bool = True) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise FailedPrecondition(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
