"""A machine as a new user has it: no daemon, no configuration, no images; and a registry that has what is pulled.

Mounts and network are namespaces of this process alone, so that nothing of the real machine is seen or changed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from cricket.bench import image, registry

_EMPTY = (
    *("/etc/cricket", "/etc/cni", "/etc/containerd", "/etc/containers", "/run"),
    *("/var/lib/cricket", "/var/lib/cricket-kubelet", "/var/lib/cni"),
)
_INSIDE = "CRICKET_PICTURES_INSIDE"


def enter(argv: Sequence[str]) -> None:
    """Start this program again in namespaces of its own, unless it is there already. Needs root."""
    if os.environ.get(_INSIDE):
        return
    os.environ[_INSIDE] = "1"
    command = ["unshare", "--mount", "--net", "--uts", sys.executable, "-m", "scripts.pictures", *argv]
    os.execvp(command[0], command)


@contextlib.contextmanager
def made() -> Iterator[str]:
    """The machine; yields a directory for what is passing. The registry ends with the block."""
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="cricket-pictures-", ignore_cleanup_errors=True))
        os.chmod(base, 0o711)
        _run("ip", "link", "set", "lo", "up")
        _run("hostname", "node-1")
        for directory in _EMPTY:
            with contextlib.suppress(FileExistsError):
                os.makedirs(directory)
                stack.callback(_remove_empty, directory)
            _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory)
            stack.callback(_run, "umount", "--lazy", directory)
        _run("mount", "--make-rshared", "/")
        address = stack.enter_context(registry.serve(base))
        for host in ("docker.io", "registry.k8s.io"):
            _mirror(host, address)
        with open(f"{base}/address", "w") as file:
            file.write(address)
        yield base


def push_busybox(base: str) -> None:
    """Put the image that examples use into the registry. Idempotent."""
    layout = f"{base}/busybox"
    if not os.path.exists(layout):
        image.build(layout, ("busybox",))
        copy = ("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:busybox")
        _run(*copy, f"docker://{_address(base)}/library/busybox:1.36")


def push_large(base: str) -> str:
    """Put an image of some layers into the registry; its name."""
    registry.push(_address(base), "demo/shop", registry.Shape(size=240 << 20, files=6000, layers=6))
    return "registry.k8s.io/demo/shop:1"


def _mirror(host: str, address: str) -> None:
    """Names of the world outside lead to the registry here."""
    directory = f"/etc/containerd/certs.d/{host}"
    os.makedirs(directory)
    with open(f"{directory}/hosts.toml", "w") as file:
        file.write(f'server = "http://{address}"\n')


def _address(base: str) -> str:
    with open(f"{base}/address") as file:
        return file.read()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)


def _remove_empty(directory: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(directory)
