"""Other runtimes on the same host: who listens, and what follows from it."""

from __future__ import annotations

import os
import socket

from cricket.cli.doctor.finding import Findings, info, ok
from cricket.cli.doctor.host import Host

_FOLLOWS = {
    "containerd": "Its pods are its own, but both read the same CNI configuration: they share bridge and addresses.",
    "CRI-O": "Its pods are its own, but both read the same CNI configuration: they share bridge and addresses.",
    "cri-dockerd": "Its pods are Docker's; see dockerd.",
    "dockerd": "It sets the FORWARD policy to DROP, and restarting it rewrites its rules.",
}
SOCKETS = {
    "/run/containerd/containerd.sock": "containerd",
    "/run/crio/crio.sock": "CRI-O",
    "/run/cri-dockerd.sock": "cri-dockerd",
    "/run/docker.sock": "dockerd",
    "/run/k3s/containerd/containerd.sock": "containerd",
    "/run/cricket/cricket.sock": "Cricket",
}


def listening(host: Host, path: str) -> bool | None:
    """Whether somebody answers at a socket; None when there is none. A refusal for want of rights counts as yes."""
    if not host.exists(path):
        return None
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.settimeout(1)
        try:
            attempt.connect(host.at(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # it may not be for us, or be busy
    return True


def runtimes(host: Host) -> Findings:
    """Every known socket but ours."""
    ours = os.path.realpath(host.socket)
    found = False
    for path, name in SOCKETS.items():
        if os.path.realpath(path) == ours:
            continue
        state = listening(host, path)
        if state is False:
            found = True
            why = "A kubelet or tool that is pointed at it says `connection refused`."
            yield info(f"{path} is left over: nobody listens", why, f"Unless {name} is to be started:", f"rm {path}")
        elif state and name in _FOLLOWS:
            found = True
            yield info(f"{name} runs beside ({path})", _FOLLOWS[name], "A kubelet uses one of them only.")
    if not found:
        yield ok("no other runtime listens")
