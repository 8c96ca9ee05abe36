"""What the conformance tests have in common."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.cri import CriError
from harness.leaks import LeakCheck
from harness.node import CONTAINER, Node

from cricket._proto.cri import api_pb2 as pb

SYSTEMD = os.path.isdir("/run/systemd/system")
"""sd_booted(3): what the daemon's cgroup_driver = "auto" goes by."""
FOREVER = ("sleep", "1000000")
STUBBORN = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")


class ConformanceNode(Node):
    """A node whose pods have the cgroup parents that a kubelet with the node's cgroup driver would send."""

    driver = "cgroupfs"

    def settle(self) -> None:
        """Ask the daemon for its driver; call once after the start."""
        answer = self.cri.call("RuntimeConfig").linux
        self.driver = pb.CgroupDriver.Name(answer.cgroup_driver).lower()
        if self.driver == "systemd":
            self.leaks = SliceLeakCheck(self.root, self.state, self.network, self.token)

    def pod(self, name: str = "", *, attempt: int = 0, **changes: Any) -> dict[str, Any]:
        """As Node.pod, with a cgroup parent of the driver."""
        config = super().pod(name, attempt=attempt, **changes)
        if self.driver == "systemd" and "cgroup_parent" not in changes.get("linux", {}):
            stem = "".join(c for c in config["metadata"]["name"] if c.isalnum())
            config["linux"]["cgroup_parent"] = f"{slice_path(self.token)}/{self.token}-{stem}.slice"
        return config

    def security_pod(self, **security: Any) -> dict[str, Any]:
        """A pod with this security context."""
        return self.pod(linux={"security_context": security})

    def container_with(self, image: str, *command: str, security: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A container with this security context."""
        context = {"namespace_options": {"pid": CONTAINER}, **security}
        linux = {"security_context": context, **changes.pop("linux", {})}
        return self.container(image, *command, linux=linux, **changes)

    def info(self, container_id: str) -> dict[str, Any]:
        """The verbose information of a container."""
        answer = self.cri.call("ContainerStatus", container_id=container_id, verbose=True)
        found: dict[str, Any] = json.loads(answer.info["info"])
        return found

    def pid(self, container_id: str) -> int:
        """The host's pid of a running container's first process."""
        return int(self.info(container_id)["pid"])

    def output(self, container_id: str, *command: str) -> str:
        """What a command in the container says, which must succeed."""
        answer = self.exec(container_id, *command)
        assert answer.exit_code == 0, (command, answer)
        return str(answer.stdout.decode())


class SliceLeakCheck(LeakCheck):
    """Finds and removes the scopes and slices that the systemd driver makes."""

    def cgroups(self) -> list[str]:
        """Scopes of containers below our slice, in every hierarchy."""
        found = []
        for base in _hierarchies():
            for directory, names, _ in os.walk(f"{base}{slice_path(self.token)}"):
                found += [os.path.join(directory, name) for name in names if name.endswith(".scope")]
        return sorted(found)

    def remove_cgroups(self) -> None:
        """Stop our slice with all that is in it."""
        subprocess.run(["systemctl", "stop", f"{self.token}.slice"], check=False, capture_output=True)


def slice_path(stem: str) -> str:
    """ "a-b" -> "/a.slice/a-b.slice"."""
    parts = stem.split("-")
    return "".join(f"/{'-'.join(parts[: i + 1])}.slice" for i in range(len(parts)))


def _hierarchies() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [root, *(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())]


@contextlib.contextmanager
def refused(*codes: str) -> Iterator[list[CriError]]:
    """The call in the block fails with one of these gRPC codes; the error is the list's item afterwards."""
    seen: list[CriError] = []
    try:
        yield seen
    except CriError as error:
        assert error.code in codes, error
        assert "Traceback" not in error.text
        seen.append(error)
    else:
        raise AssertionError(f"no {' or '.join(codes)}")


def resources(**linux: Any) -> dict[str, Any]:
    """The `resources` of a LinuxContainerConfig."""
    return {"resources": linux}
