"""The last tests of the first boot: they leave pods behind, whose ids and states the second boot looks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vm_node import FOREVER, VmNode
from vm_warm import full, switch_on

pytestmark = pytest.mark.root


def test_pods_run_when_the_machine_is_restarted(service: VmNode, image: str, notes: Path) -> None:
    left = {}
    for handler in ("crun", "runc"):
        config = service.pod(f"survivor-{handler}")
        pod = service.run_pod(config, handler)
        running = service.run(pod, service.container(image, *FOREVER, name="running"))
        exited = service.run(pod, service.container(image, "sh", "-c", "exit 5", name="exited"))
        assert service.wait_exit(exited).exit_code == 5
        created = service.cri.call(
            "CreateContainer", pod_sandbox_id=pod, config=service.container(image, *FOREVER, name="created")
        ).container_id
        left[handler] = {"pod": pod, "config": config, "running": running, "exited": exited, "created": created}
    (notes / "left.json").write_text(json.dumps(left))


def test_sandboxes_are_warm_when_it_is_restarted(service: VmNode, notes: Path) -> None:
    switch_on(service)
    (notes / "warm.json").write_text(json.dumps(sorted(full())))
