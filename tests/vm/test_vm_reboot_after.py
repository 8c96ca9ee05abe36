"""What the machine must show after it was restarted while pods ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness.node import until
from vm_node import FOREVER, VmNode, journal, show
from vm_warm import full, switch_off, traces_of

from cricket._proto.cri import api_pb2 as pb

pytestmark = pytest.mark.root


@pytest.fixture
def left(notes: Path) -> dict[str, Any]:
    """What the first boot has left, by handler."""
    found: dict[str, Any] = json.loads((notes / "left.json").read_text())
    return found


def test_systemd_has_started_it(service: VmNode) -> None:
    assert show("cricket", "ActiveState") == "active" and show("cricket", "NRestarts") == "0"


def test_warm_sandboxes_are_made_anew_and_nothing_is_left_of_the_old_ones(service: VmNode, notes: Path) -> None:
    old = set(json.loads((notes / "warm.json").read_text()))
    assert old and not old & full()
    until(lambda: not traces_of(old), "there are traces of the old ones", 60)
    switch_off()


def test_stale_sandboxes_are_not_ready(service: VmNode, left: dict[str, Any]) -> None:
    states = {item.id: item.state for item in service.cri.call("ListPodSandbox").items}
    assert states == {each["pod"]: pb.PodSandboxState.SANDBOX_NOTREADY for each in left.values()}
    for each in left.values():
        status = service.cri.call("PodSandboxStatus", pod_sandbox_id=each["pod"]).status
        assert status.metadata.name == each["config"]["metadata"]["name"]


def test_their_containers_have_exited(service: VmNode, left: dict[str, Any]) -> None:
    for each in left.values():
        assert service.status(each["exited"]).exit_code == 5
        for key in ("running", "created"):
            assert service.state_of(each[key]) == "CONTAINER_EXITED", key
        status = service.status(each["running"])
        # Either the daemon still saw it being killed, or it was told by the new boot.
        assert status.exit_code != 0 and status.finished_at > status.started_at > 0


def test_the_pod_is_run_again_beside_what_is_left(service: VmNode, image: str, left: dict[str, Any]) -> None:
    """The kubelet makes the next attempt of each pod before it removes the last one."""
    for handler, each in left.items():
        config = each["config"]
        config["metadata"]["attempt"] = 1
        pod = service.run_pod(config, handler)
        container = service.run(pod, service.container(image, *FOREVER))
        assert service.output(container, "hostname").strip() == f"survivor-{handler}"


def test_everything_can_be_removed(service: VmNode) -> None:
    service.remove_pods()
    service.assert_clean()
    assert not service.cri.call("ListContainers").containers
    assert not list(Path("/run/cricket/sandboxes").glob("*")) and not list(Path("/run/cricket/containers").glob("*"))
    assert "Traceback" not in journal("cricket")
