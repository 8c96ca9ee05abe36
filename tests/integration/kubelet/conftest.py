"""A node and an agent of its own, as processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.fixtures import busybox_ref, node, registry
from harness.node import Node
from kubelet_agent import AgentProcess

__all__ = ["agent", "busybox_ref", "node", "registry"]


@pytest.fixture
def agent(node: Node, busybox_ref: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent with an empty folder of manifests; after the test its pods are ended by it and nothing is left."""
    made = AgentProcess(tmp_path_factory.mktemp("agent"), node.socket, f"/{node.token}", node.token, busybox_ref)
    try:
        made.start()
        yield made
        print(made.log(), *made.told(), sep="\n")  # for failures
        made.end_pods()
        made.stop()
        assert not made.left(), made.left()
        node.assert_clean("the agent")
    finally:
        made.kill()
        node.remove_pods()
