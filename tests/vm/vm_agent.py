"""The node agent as a service of the machine, with a folder of manifests, and its API to ask."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import textwrap
from pathlib import Path
from typing import Any

from harness.node import until
from vm_node import CGROUPS, journal, show, systemctl, units

UNIT = "vm-agent"
API = "/run/vm-agent.sock"
ROOT = "cricketpods"
_BUSCTL_LEAVES = (Path("/run/systemd/system.control"), Path("/run/systemd/transient"))


class VmAgent:
    """Pods go on when it is stopped; `end_pods` ends them. IMAGE in a manifest stands for the image."""

    def __init__(self, directory: Path, image: str) -> None:
        self.folder, self.root, self._image = directory / "manifests", directory / "root", image
        self.folder.mkdir()

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ["kubelet", "--manifests", str(self.folder), "--root", str(self.root), "--api-socket", API]
        words += ["--log-root", str(self.root / "logs"), "--pod-pids-limit", "50"]
        subprocess.run(
            ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", "/usr/local/bin/cricket", *words], check=True
        )
        until(self._answers, "the agent does not answer", 60)

    def _answers(self) -> bool:
        assert show(UNIT, "ActiveState") == "active", journal(UNIT)
        with contextlib.suppress(OSError):
            return bool(self._ask("/healthz"))
        return False

    def stop(self) -> None:
        systemctl("stop", UNIT)

    def put(self, text: str) -> None:
        """Write the manifest."""
        new = self.folder / "pods.new"
        new.write_text(textwrap.dedent(text).replace("IMAGE", self._image))
        new.rename(self.folder / "pods.yaml")

    def end_pods(self) -> None:
        """Remove the manifest and wait until all pods are gone."""
        (self.folder / "pods.yaml").unlink(missing_ok=True)
        until(lambda: not self.pods(), "pods are not ended", 60)

    def pods(self) -> dict[str, dict[str, Any]]:
        """By name, as the API shows them."""
        return {pod["metadata"]["name"]: pod for pod in json.loads(self._ask("/pods"))["items"]}

    def wait_ready(self, *names: str) -> dict[str, str]:
        """Wait until all are ready; their uids."""

        def ready() -> bool:
            found = [pod for name, pod in self.pods().items() if name in names]
            conditions = [{c["type"]: c["status"] for c in pod["status"].get("conditions", ())} for pod in found]
            return len(found) == len(names) and all(each.get("Ready") == "True" for each in conditions)

        until(ready, "pods are not ready", 120)
        return {name: pod["metadata"]["uid"] for name, pod in self.pods().items()}

    def reasons(self) -> list[str]:
        """Of all events, oldest first."""
        return [event["reason"] for event in json.loads(self._ask("/events"))["items"]]

    def _ask(self, path: str) -> str:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(20)
            connection.sock.connect(API)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            assert answer.status == 200, (path, body)
            return body


def cgroup_of_pod(uid: str, quality: str = "") -> Path:
    """The directory of a pod's slice, or with an empty uid of its class's."""
    parts = [part for part in (ROOT, quality, f"pod{uid.replace('-', '_')}" if uid else "") if part]
    names = ["-".join(parts[: at + 1]) + ".slice" for at in range(len(parts))]
    return CGROUPS.joinpath(*names)


def left() -> list[str]:
    """Slices that systemd knows or keeps settings of, and directories of cgroups."""
    kept = [str(path) for base in _BUSCTL_LEAVES for path in base.glob(f"{ROOT}*")]
    return units(f"{ROOT}*") + kept + [str(path) for path in CGROUPS.glob(f"{ROOT}*")]
