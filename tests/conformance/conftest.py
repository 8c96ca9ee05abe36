"""One daemon for all conformance tests, whatever cgroup version and driver the host has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("conformance_kit", "conformance_registry", "harness")

from conformance_kit import ConformanceNode  # noqa: E402 - rewritten when imported
from harness.fixtures import busybox_ref, registry  # noqa: E402 - rewritten when imported
from harness.registry import Registry  # noqa: E402 - rewritten when imported

__all__ = ["busybox_ref", "registry"]


@pytest.fixture(scope="session")
def the_node(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, busybox_ref: str
) -> Iterator[ConformanceNode]:
    """The daemon, with busybox pulled. At the end not even images may be left."""
    directory = tmp_path_factory.mktemp("conformance")
    with ConformanceNode.made(directory, registry=registry, cgroup_driver="auto") as node:
        node.settle()
        node.pull(busybox_ref)
        yield node
        node.remove_pods()
        node.remove_images()
        node.assert_clean("the conformance session")


@pytest.fixture
def node(the_node: ConformanceNode, busybox_ref: str) -> Iterator[ConformanceNode]:
    """The daemon for one test: after it all pods are removed, and nothing but images may be left."""
    yield the_node
    if not the_node.daemon.running:
        the_node.daemon.kill()
        the_node.daemon.start()
    the_node.remove_pods()
    the_node.assert_clean("the test")


@pytest.fixture(params=["crun", "runc"])
def handler(request: pytest.FixtureRequest, the_node: ConformanceNode) -> str:
    """Each runtime that this host can use."""
    name = str(request.param)
    if name not in {h.name for h in the_node.cri.call("Status").runtime_handlers}:
        pytest.skip(f"this host cannot use {name}")
    return name


@pytest.fixture
def image(busybox_ref: str) -> str:
    """The reference of the busybox image, which is present."""
    return busybox_ref
