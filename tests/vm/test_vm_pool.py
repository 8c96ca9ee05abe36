"""Warm sandboxes of the service: pods get them, restarts keep them, a stop without pods takes them away."""

from __future__ import annotations

import pytest
from vm_node import FOREVER, VmNode, systemctl
from vm_warm import full, pool, ready, traces

pytestmark = pytest.mark.root


def test_pods_get_them_restarts_keep_them_and_a_stop_removes_them(node: VmNode, image: str) -> None:
    with pool(node):
        first = full()
        pod = node.run_pod(node.pod())
        assert pod in first
        container = node.run(pod, node.container(image, *FOREVER))
        address = node.cri.call("PodSandboxStatus", pod_sandbox_id=pod).status.network.ip
        assert f"{address}/" in node.output(container, "ip", "addr")
        second = full()
        systemctl("restart", "cricket")
        node.connect()
        assert ready() == second
        assert node.run_pod(node.pod()) in second
        node.remove_pods()
        systemctl("stop", "cricket")
        assert traces() == []
