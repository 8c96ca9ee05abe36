"""Whose logs were asked for."""

from __future__ import annotations

import argparse
from typing import Any, cast

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.errors import UsageError
from cricket.cli.logsources import Sources
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, NotFound


class Node:
    """Answers as a runtime would, with what it has just now."""

    def __init__(self) -> None:
        self.boxes: list[Any] = []
        self.containers: list[Any] = []
        self.logs: dict[str, str] = {}

    def pod(self, name: str, namespace: str = "default", *, ready: bool = True, labels: Any = None) -> None:
        state = pb.SANDBOX_READY if ready else pb.SANDBOX_NOTREADY
        metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}"}
        self.boxes.append(pb.PodSandbox(id=f"{namespace}-{name}", metadata=metadata, state=state, labels=labels or {}))

    def container(self, pod: str, name: str, attempt: int = 0, state: str = "RUNNING") -> str:
        ident = f"{pod}-{name}-{attempt}"
        metadata = {"name": name, "attempt": attempt}
        item = pb.Container(
            id=ident, pod_sandbox_id=pod, metadata=metadata, state=f"CONTAINER_{state}", created_at=attempt + 1
        )
        self.containers = [each for each in self.containers if each.id != ident] + [item]
        self.logs.setdefault(ident, f"/logs/{ident}")
        return ident

    def call(self, name: str, **fields: Any) -> Any:
        if name == "ListContainers":
            return pb.ListContainersResponse(containers=self.containers)
        if name == "ListPodSandbox":
            wanted = fields.get("filter", {}).get("label_selector", {})
            return pb.ListPodSandboxResponse(items=[b for b in self.boxes if wanted.items() <= dict(b.labels).items()])
        return pb.ContainerStatusResponse(status={"log_path": self.logs[fields["container_id"]]})


@pytest.fixture
def node() -> Node:
    node = Node()
    for name in ("shop", "bank"):
        node.pod(name, labels={"app": name})
    node.container("default-shop", "web", 0, "EXITED")
    node.container("default-shop", "web", 1)
    node.container("default-shop", "db")
    node.container("default-bank", "safe")
    return node


def _sources(
    node: Node, *names: str, pod: Any = (), container: Any = (), label: Any = (), previous: bool = False
) -> Any:
    args = argparse.Namespace(name=names, pod=pod, container=container, label=label, previous=previous)
    return Sources(cast(Client, node), args)


def _now(node: Node, *names: str, **options: Any) -> dict[str, str]:
    return {source.id: source.label for source in _sources(node, *names, **options).now()}


def test_containers_by_name(node: Node) -> None:
    assert _now(node, "web") == {"default-shop-web-1": "web"}
    assert _now(node, "web", "db") == {"default-shop-db-0": "db", "default-shop-web-1": "web"}
    assert _now(node, "db", "safe") == {"default-shop-db-0": "shop/db", "default-bank-safe-0": "bank/safe"}


def test_whole_pods(node: Node) -> None:
    shop = {"default-shop-db-0": "db", "default-shop-web-1": "web"}
    assert _now(node, pod=["shop"]) == _now(node, "shop") == _now(node, label=[("app", "shop")]) == shop
    assert _now(node, "shop", container=["web"]) == {"default-shop-web-1": "web"}
    assert len(_now(node, "shop", "bank")) == 3


def test_pods_of_one_name_are_told_apart(node: Node) -> None:
    node.pod("bank", "test")
    node.container("test-bank", "safe")
    labels = _now(node, pod=["default/bank", "test/bank"]).values()
    assert set(labels) == {"default/bank/safe", "test/bank/safe"}


def test_the_attempt_before(node: Node) -> None:
    assert _now(node, "web", previous=True) == {"default-shop-web-0": "web"}
    assert _now(node, pod=["shop"], previous=True) == {"default-shop-web-0": "web"}
    with pytest.raises(NotFound, match="no attempt before"):
        _now(node, "db", previous=True)


def test_what_is_not_there(node: Node) -> None:
    with pytest.raises(UsageError):
        _sources(node)
    for options in ({"pod": ["no"]}, {"label": [("app", "no")]}):
        with pytest.raises(NotFound):
            _sources(node, **options)
    with pytest.raises(NotFound, match="no such container"):
        _sources(node, "no")
    with pytest.raises(NotFound, match="no container no"):
        _now(node, "shop", container=["no"])
    node.logs["default-bank-safe-0"] = ""
    with pytest.raises(FailedPrecondition, match="has no log"):
        _now(node, "safe")


def test_named_containers_end_and_nothing_takes_their_place(node: Node) -> None:
    sources = _sources(node, "web")
    sources.now()
    assert sources.fresh() == ([], {item.id for item in node.containers} - {"default-shop-web-0"}, False)
    node.container("default-shop", "web", 1, "EXITED")
    node.container("default-shop", "web", 2)
    come, alive, more = sources.fresh()
    assert not come and not more and "default-shop-web-1" not in alive


def test_pods_get_new_attempts_as_long_as_they_are_ready(node: Node) -> None:
    sources = _sources(node, "shop")
    sources.now()
    assert sources.fresh()[::2] == ([], True)  # the first attempt at web is none that comes
    node.container("default-shop", "web", 2, "CREATED")
    node.container("default-bank", "safe", 1)
    assert sources.fresh()[0] == []
    ident = node.container("default-shop", "web", 2)
    assert [(source.id, source.path) for source in sources.fresh()[0]] == [(ident, f"/logs/{ident}")]
    assert sources.fresh()[0] == []
    node.boxes.clear()
    node.pod("shop", ready=False)
    assert sources.fresh()[2] is False
