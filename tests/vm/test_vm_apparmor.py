"""AppArmor, which Debian's kernel has and most test machines have not."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.cri import CriError
from vm_node import FOREVER, VmNode

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def active() -> None:
    assert Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"


def test_the_default_profile_confines(node: VmNode, image: str, handler: str) -> None:
    pod = node.run_pod(node.pod(), handler)
    container = node.run(
        pod, node.container(image, *FOREVER, security={"apparmor": {"profile_type": "RuntimeDefault"}})
    )
    assert node.output(container, "cat", "/proc/1/attr/current") == "cricket-default (enforce)\n"
    answer = node.cri.call(
        "ExecSync", container_id=container, cmd=["sh", "-c", "echo 1 > /proc/sys/kernel/dmesg_restrict"]
    )
    assert answer.exit_code != 0


def test_unconfined(node: VmNode, image: str, handler: str) -> None:
    pod = node.run_pod(node.pod(), handler)
    container = node.run(pod, node.container(image, *FOREVER, security={"apparmor": {"profile_type": "Unconfined"}}))
    assert node.output(container, "cat", "/proc/1/attr/current") == "unconfined\n"


def test_a_profile_that_is_not_loaded_is_refused(node: VmNode, image: str) -> None:
    pod = node.run_pod(node.pod())
    profile = {"profile_type": "Localhost", "localhost_ref": "no-such-profile"}
    with pytest.raises(CriError) as error:
        node.run(pod, node.container(image, *FOREVER, security={"apparmor": profile}))
    assert "no-such-profile" in error.value.text
