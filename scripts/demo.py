"""`make demo`: one real pod through the whole chain, offline, from an image made here. Ends clean.

gRPC (CRI) -> cricket -> conmon -> crun -> two containers in one pod; CNI plugins give it a network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from cricket.bench.image import build
from cricket.client.connection import Client

IMAGE = "localhost/demo/busybox:1"
BRIDGE = "cricket-demo"
CRICKET = os.path.join(os.path.dirname(sys.executable), "cricket")
NAMESPACES = {"pid": "CONTAINER"}


class Hops:
    """Times of the hops, printed as they end and summed up at the end."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def hop(self, name: str) -> Iterator[None]:
        """Time the block."""
        began = time.perf_counter()
        yield
        took = (time.perf_counter() - began) * 1000
        self.times.append((name, took))
        print(f"  {name:<46} {took:8.1f} ms", flush=True)


def say(text: str) -> None:
    """A headline."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(endpoint: str, *words: str) -> None:
    """Run a cricket command, so that the reader sees what to type."""
    print(f"$ cricket {' '.join(words)}", flush=True)
    subprocess.run([CRICKET, "-r", endpoint, *words], check=True)


def write_config(base: str) -> str:
    """The daemon's configuration: everything below one directory."""
    os.makedirs(f"{base}/cni")
    path = f"{base}/config.toml"
    with open(path, "w") as f:
        f.write(f"""\
root = "{base}/root"
state = "{base}/run"
socket = "{base}/cricket.sock"

[network]
conf_dirs = ["{base}/cni"]

[nri]
enable = false

[log]
level = "warning"
""")
    subprocess.run(
        [CRICKET, "network", "init", "--bridge", BRIDGE, "--conf-dir", f"{base}/cni"], check=True, capture_output=True
    )
    return path


def start_daemon(config: str, endpoint: str) -> subprocess.Popen[bytes]:
    """Start the daemon and wait until it answers (at most 30 s)."""
    daemon = subprocess.Popen([CRICKET, "serve", "--config", config])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            sys.exit(f"the daemon ended with status {daemon.returncode}")
        with contextlib.suppress(Exception), Client(endpoint) as client:
            client.call("Version")
            return daemon
        time.sleep(0.02)
    daemon.kill()
    sys.exit("the daemon did not answer within 30 s")


def container(name: str, *command: str) -> dict[str, Any]:
    """A container's CRI configuration."""
    return {
        "metadata": {"name": name},
        "image": {"image": IMAGE},
        "command": list(command),
        "log_path": f"{name}.log",
        "linux": {"security_context": {"namespace_options": NAMESPACES}},
    }


def run_pod(client: Client, hops: Hops, base: str) -> tuple[str, dict[str, str]]:
    """The pod with its two containers: (pod id, container ids by name)."""
    pod = {
        "metadata": {"name": "demo", "namespace": "default", "uid": "demo-1", "attempt": 0},
        "hostname": "demo",
        "log_directory": f"{base}/logs",
        "labels": {"app": "demo"},
        "linux": {"cgroup_parent": "/cricket-demo", "security_context": {"namespace_options": NAMESPACES}},
    }
    with hops.hop("RunPodSandbox (namespaces, CNI network)"):
        pod_id = client.call("RunPodSandbox", config=pod).pod_sandbox_id
    ip = client.call("PodSandboxStatus", pod_sandbox_id=pod_id).status.network.ip
    fetch = f"until wget -q -O - http://{ip}/; do sleep 0.1; done; exec sleep 1000"
    ids = {}
    for name, command in (("web", ["httpd", "-f", "-p", "80", "-h", "/www"]), ("client", ["sh", "-c", fetch])):
        with hops.hop(f"CreateContainer {name} (overlay, spec)"):
            ids[name] = client.call(
                "CreateContainer", pod_sandbox_id=pod_id, config=container(name, *command), sandbox_config=pod
            ).container_id
        with hops.hop(f"StartContainer {name} (conmon, crun)"):
            client.call("StartContainer", container_id=ids[name])
    return pod_id, ids


def wait_for_log(path: str, text: str) -> None:
    """Wait until the client has fetched the page (at most 20 s)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError), open(path) as f:
            if text in f.read():
                return
        time.sleep(0.02)
    sys.exit(f"the client did not fetch the page; see {path}")


def demonstrate(endpoint: str, base: str, hops: Hops) -> None:
    """Everything that a reader sees while the daemon runs."""
    say("An image, made here from Debian's busybox-static")
    build(f"{base}/image", [IMAGE])
    with hops.hop("load image (digest, unpack)"):
        subprocess.run([CRICKET, "-r", endpoint, "load", f"{base}/image"], check=True, stdout=subprocess.DEVNULL)
    show(endpoint, "images")
    with Client(endpoint) as client:
        say("A pod with a web server and a client, through gRPC as a kubelet does it")
        pod_id, ids = run_pod(client, hops, base)
        with hops.hop("first page fetched over the pod's network"):
            wait_for_log(f"{base}/logs/client.log", "Hello")
        show(endpoint, "pods")
        show(endpoint, "ps")
        show(endpoint, "logs", "client")
        with hops.hop("ExecSync"):
            client.call("ExecSync", container_id=ids["web"], cmd=["hostname"], timeout=10)
        show(endpoint, "exec", "web", "ip", "-4", "-o", "address", "show", "eth0")
        show(endpoint, "stats")
        say("The end: nothing stays")
        with hops.hop("StopPodSandbox"):
            client.call("StopPodSandbox", pod_sandbox_id=pod_id)
        with hops.hop("RemovePodSandbox"):
            client.call("RemovePodSandbox", pod_sandbox_id=pod_id)


def clean(base: str) -> None:
    """What the demo itself made, beside what the daemon has removed."""
    subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)
    with open("/proc/self/mountinfo") as f:
        left = [line.split()[4] for line in f if base in line]
    shutil.rmtree(base, ignore_errors=True)
    for root, directories, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(root) == "cricket-demo":
            directories.clear()
            os.rmdir(root)
    if left:
        sys.exit(f"mounts were left: {left}")


def main() -> int:
    """Run the demo; the exit status."""
    if os.geteuid() != 0:
        print("The demo makes namespaces, mounts and cgroups: run it as root.", file=sys.stderr)
        return 1
    hops = Hops()
    base = tempfile.mkdtemp(prefix="cricket-demo-")
    os.chmod(base, 0o711)
    endpoint = f"unix://{base}/cricket.sock"
    try:
        config = write_config(base)
        say("The daemon")
        with hops.hop("cricket serve, until it answers"):
            daemon = start_daemon(config, endpoint)
        try:
            demonstrate(endpoint, base, hops)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(20)
    finally:
        clean(base)
    say("All hops")
    widest = max(took for _, took in hops.times)
    for name, took in hops.times:
        print(f"  {name:<46} {took:8.1f} ms  {'#' * max(1, round(took / widest * 40))}")
    print("\nDone. `make test` runs the tests; README.md shows what to try next.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
