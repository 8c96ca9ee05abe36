"""Nodes and agents of their own, as processes: Cricket's, and Debian's containerd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.containerd import ContainerdNode
from harness.fixtures import busybox_ref, node, registry
from harness.images import busybox
from harness.node import Node
from harness.registry import Registry
from kubelet_agent import AgentProcess, agent_on

__all__ = ["agent", "busybox_ref", "containerd", "containerd_agent", "node", "preloaded", "registry"]


@pytest.fixture
def agent(node: Node, busybox_ref: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent on Cricket."""
    with agent_on(node, busybox_ref, tmp_path_factory.mktemp("agent")) as made:
        yield made


@pytest.fixture(scope="session")
def preloaded(registry: Registry) -> str:
    """The busybox image under a tag that is pulled only where it is missing."""
    return registry.push("test/busybox", busybox(), "1")


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory, registry: Registry, preloaded: str) -> Iterator[Node]:
    """Debian's containerd for a whole module, with the image. At its end it must be clean."""
    with ContainerdNode.made(tmp_path_factory.mktemp("containerd"), registry=registry) as made:
        made.pull(preloaded)
        yield made
        made.remove_pods()
        made.assert_clean()


@pytest.fixture
def containerd_agent(
    containerd: Node, preloaded: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentProcess]:
    """An agent on Debian's containerd."""
    with agent_on(containerd, preloaded, tmp_path_factory.mktemp("agent")) as made:
        yield made
