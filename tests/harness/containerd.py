"""Debian's containerd as a node of its own: the other runtime that clients of CRI have to work with.

The same questions and ways as `Node`, with containerd's configuration and leftovers. Its pause image is made here and
pulled from the registry of the tests.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from harness.cri import Cri, CriError
from harness.daemon import START_LIMIT, DaemonProcess
from harness.images import Image
from harness.leaks import LeakCheck, Left
from harness.network import BIN_DIR
from harness.node import Node

_CACHE = Path("/var/lib/cni/results")
"""libcni's cache; containerd 1.6 has no setting for another one. Entries begin with the network's name."""


class ContainerdNode(Node):
    """Node.made() with another daemon; needs a registry."""

    def _daemon(self) -> DaemonProcess:
        assert self.registry is not None, "containerd wants its pause image from a registry"
        pause = Image({"bin": None, "bin/pause": Path("/usr/bin/catatonit").read_bytes()}, Entrypoint=["pause", "-P"])
        cri = {
            "sandbox_image": self.registry.push("test/pause", pause, "1"),
            "restrict_oom_score_adj": True,  # machines without CAP_SYS_RESOURCE cannot lower it
            "netns_mounts_under_state_dir": True,
            "stream_server_address": "127.0.0.1",
            "stream_server_port": "0",
            "cni": {"bin_dir": BIN_DIR, "conf_dir": str(self.network.conf_dir)},
            "registry": {"config_path": str(self.registry.certs_dir)},
            "containerd": {
                "snapshotter": "overlayfs",
                "default_runtime_name": "runc",
                "runtimes": {
                    "runc": {
                        "runtime_type": "io.containerd.runc.v2",
                        "options": {"BinaryName": "runc", "Root": str(self.state / "runc")},
                    }
                },
            },
        }
        unused = [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")]
        settings: dict[str, Any] = {
            "version": 2,
            "root": str(self.root),
            "state": str(self.state),
            "disabled_plugins": [*unused, "io.containerd.internal.v1.tracing"],
            "grpc": {"address": self.socket},
            "plugins": {
                '"io.containerd.internal.v1.opt"': {"path": str(self.root / "opt")},
                '"io.containerd.grpc.v1.cri"': cri,
            },
        }
        return ContainerdProcess(self.directory, settings, self.token)

    def _leak_check(self) -> LeakCheck:
        return ContainerdLeaks(self.root, self.state, self.network, self.token)

    def close(self) -> None:
        """As Node's, and what containerd keeps elsewhere. Idempotent."""
        shims = [Path(path.read_text().removeprefix("unix://")) for path in self.state.glob("*task/k8s.io/*/address")]
        super().close()
        for path in (*shims, *_CACHE.glob(f"{self.network.name}-*")):
            path.unlink(missing_ok=True)


class ContainerdProcess(DaemonProcess):
    """The daemon's process; it tells readiness as Cricket does, but its CRI service may need a moment more."""

    def command(self) -> list[str]:
        return ["containerd", "--config", str(self.config_path), "--log-level", "info"]

    def cri_socket(self) -> str:
        return str(self.config["grpc"]["address"])

    def wait_ready(self, limit: float = START_LIMIT) -> Cri:
        super().wait_ready(limit)
        deadline = time.monotonic() + limit
        while True:
            try:
                conditions = {c.type: c.status for c in self.cri.call("Status").status.conditions}
                if conditions.get("RuntimeReady") and conditions.get("NetworkReady"):
                    return self.cri
            except CriError as error:
                assert error.code in ("UNAVAILABLE", "UNKNOWN"), error
            assert time.monotonic() < deadline, f"containerd is not ready after {limit:g} s:\n{self.log()}"
            time.sleep(0.02)


class ContainerdLeaks(LeakCheck):
    """What pods on containerd consist of."""

    def left(self, *, images: bool = False, ignore_pid: int = 0) -> Left:
        found = {
            "mount": self.mounts(),
            "process": self.processes(ignore_pid),
            "cgroup": self.cgroups(),
            "CNI address": self.network.reserved(),
            "CNI cache": sorted(path.name for path in _CACHE.glob(f"{self.network.name}-*")),
            "bridge port": self.network.ports(),
            "netns": _names(self.state / "netns"),
            "runtime state": _names(self.state / "runc" / "k8s.io"),
        }
        for base in (self.root, self.state):
            for kind in ("sandboxes", "containers"):
                found[f"{kind} in {base.name}"] = _names(base / "io.containerd.grpc.v1.cri" / kind)
            found[f"tasks in {base.name}"] = _names(base / "io.containerd.runtime.v2.task" / "k8s.io")
        if not any(found.values()):
            found["firewall rule"] = self.network.rules()
        return {kind: names for kind, names in found.items() if names}


def _names(directory: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(os.listdir(directory))
    return []
