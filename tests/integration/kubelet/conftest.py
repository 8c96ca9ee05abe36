"""Nodes and agents of their own, as processes: Cricket's, and Debian's containerd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.fixtures import busybox_ref, containerd, node, preloaded, registry
from harness.node import Node
from kubelet_agent import AgentProcess, agent_on

__all__ = ["agent", "busybox_ref", "containerd", "containerd_agent", "node", "preloaded", "registry"]


@pytest.fixture
def agent(node: Node, busybox_ref: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent on Cricket."""
    with agent_on(node, busybox_ref, tmp_path_factory.mktemp("agent")) as made:
        yield made


@pytest.fixture
def containerd_agent(
    containerd: Node, preloaded: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentProcess]:
    """An agent on Debian's containerd."""
    with agent_on(containerd, preloaded, tmp_path_factory.mktemp("agent")) as made:
        yield made
