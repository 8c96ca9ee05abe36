"""Tests for a machine of their own, with systemd and cgroup v2: `make test-vm` runs them in a guest.

They install Cricket as a service and restart the machine, so nowhere else are they even collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.images import busybox
from vm_node import VmNode

BOOT = os.environ.get("CRICKET_VM_BOOT", "")
_AFTER = "test_vm_reboot_after.py"
collect_ignore_glob = {"": ["test_*.py"], "1": [_AFTER], "2": ["test_vm_[!r]*.py", "test_vm_reboot_before.py"]}[BOOT]

IMAGE = "localhost/vm/busybox:1"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> VmNode:
    """Cricket, installed as the README says and started by systemd, with an image."""
    node = VmNode()
    if BOOT == "1":
        node.install()
        layout = busybox().write_layout(tmp_path_factory.mktemp("image") / "layout", IMAGE)
        node.cricket("load", str(layout))
    node.connect()
    return node


@pytest.fixture
def node(service: VmNode) -> Iterator[VmNode]:
    """The service, without pods before and after the test; then systemd must know nothing of what was there."""
    yield service
    service.connect()
    service.remove_pods()
    service.assert_clean()


@pytest.fixture(params=["crun", "runc"])
def handler(request: pytest.FixtureRequest, service: VmNode) -> str:
    """Both runtimes must be usable here."""
    return str(request.param)


@pytest.fixture
def image() -> str:
    """The reference of the busybox image, which is present."""
    return IMAGE


@pytest.fixture
def notes() -> Path:
    """A directory that outlives the restart."""
    path = Path("/var/lib/cricket-vm/notes")
    path.mkdir(exist_ok=True)
    return path
