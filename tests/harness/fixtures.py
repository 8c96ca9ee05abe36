"""Fixtures; a conftest.py takes those it wants: `from harness.fixtures import node, registry`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containerd import ContainerdNode
from harness.images import busybox
from harness.node import Node
from harness.registry import Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the whole run."""
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def busybox_ref(registry: Registry) -> str:
    """Reference of the busybox image in the registry."""
    return registry.push("test/busybox", busybox())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    """A node for a whole module, with the busybox image pulled. At its end it must be clean."""
    with Node.made(tmp_path_factory.mktemp("node"), registry=registry) as made:
        made.pull(busybox_ref)
        yield made
        made.remove_pods()
        made.assert_clean()


@pytest.fixture
def fresh_node(tmp_path: Path, registry: Registry) -> Iterator[Node]:
    """A node for one test, without images. At its end it must be clean."""
    with Node.made(tmp_path, registry=registry) as made:
        yield made
        made.remove_pods()
        made.assert_clean()


@pytest.fixture
def pods(node: Node) -> Iterator[Node]:
    """The module's node, whose pods are removed after each test; then nothing but images may be left."""
    yield node
    if not node.daemon.running:
        node.daemon.kill()
        node.daemon.start()
    node.remove_pods()
    node.assert_clean("the test")


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
