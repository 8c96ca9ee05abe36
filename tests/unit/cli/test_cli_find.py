"""Objects by ids, prefixes and names."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cli import find
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition, NotFound


class Answers:
    """A client with fixed answers."""

    def __init__(self, containers: list[Any] | None = None, sandboxes: list[Any] | None = None) -> None:
        self._answers = {
            "ListContainers": pb.ListContainersResponse(containers=containers),
            "ListPodSandbox": pb.ListPodSandboxResponse(items=sandboxes),
        }

    def call(self, name: str) -> Any:
        return self._answers[name]


def _container(ident: str, name: str, *, state: str = "RUNNING", at: int = 1, box: str = "b", pod: str = "") -> Any:
    labels = {"io.kubernetes.pod.name": pod, "io.kubernetes.pod.uid": f"uid-{pod}"} if pod else {}
    return pb.Container(
        id=ident,
        pod_sandbox_id=box,
        metadata={"name": name},
        state=f"CONTAINER_{state}",
        created_at=at,
        labels=labels,
    )


def _container_id(text: str, *items: Any, running: bool = False) -> str:
    return str(find.container(cast(Client, Answers(list(items))), text, running=running).id)


def test_id_name_and_prefix() -> None:
    items = [_container("abc1", "web"), _container("abd2", "db", pod="shop"), _container("f00", "abc")]
    for text, ident in [("abc1", "abc1"), ("abd", "abd2"), ("web", "abc1"), ("shop/db", "abd2"), ("abc", "f00")]:
        assert _container_id(text, *items) == ident


def test_what_fits_several_or_none() -> None:
    items = [_container("abc1", "web"), _container("abd2", "web", box="other")]
    with pytest.raises(FailedPrecondition, match=r"2 containers fit \(ab\)\. name one by its id: abc1, abd2"):
        _container_id("ab", *items)
    with pytest.raises(FailedPrecondition):
        _container_id("web", *items)
    for text in ("nothing", ""):
        with pytest.raises(NotFound):
            _container_id(text, *items)


def test_a_name_means_the_running_attempt_or_the_newest_of_one_pod() -> None:
    old, new = _container("a1", "web", state="EXITED", at=1), _container("a2", "web", state="EXITED", at=2)
    assert _container_id("web", old, _container("a3", "web"), new) == "a3"
    assert _container_id("web", new, old) == "a2"
    elsewhere = _container("a4", "web", state="EXITED", at=3, box="other")
    with pytest.raises(FailedPrecondition):
        _container_id("web", new, elsewhere)
    # A pod whose sandbox was made anew is still the same pod.
    again = [_container(f"a{n}", "web", state="EXITED", at=n, box=f"b{n}", pod="shop") for n in (5, 6)]
    assert _container_id("web", *again) == "a6"


def test_one_that_must_run() -> None:
    with pytest.raises(FailedPrecondition, match="not running"):
        _container_id("a", _container("a1", "web", state="EXITED"), running=True)
    assert _container_id("a", _container("a1", "web"), running=True) == "a1"


def _sandbox(ident: str, name: str, *, ready: bool = True, at: int = 1, namespace: str = "n", uid: str = "u") -> Any:
    state = pb.SANDBOX_READY if ready else pb.SANDBOX_NOTREADY
    metadata = {"name": name, "namespace": namespace, "uid": uid}
    return pb.PodSandbox(id=ident, metadata=metadata, state=state, created_at=at)


def test_sandboxes() -> None:
    items = [
        _sandbox("a1", "web", ready=False),
        _sandbox("a2", "web", at=2),
        _sandbox("b1", "db", ready=False, at=1),
        _sandbox("b2", "db", ready=False, at=2),
        _sandbox("c1", "db", ready=False, namespace="other", uid="v"),
    ]
    client = cast(Client, Answers(sandboxes=items))
    for text, ident in [("web", "a2"), ("n/web", "a2"), ("n/db", "b2"), ("other/db", "c1"), ("c", "c1"), ("a1", "a1")]:
        assert find.sandbox(client, text).id == ident
    with pytest.raises(FailedPrecondition):
        find.sandbox(client, "db")
    with pytest.raises(NotFound, match="no such pod"):
        find.sandbox(client, "x")


def test_a_container_by_its_pod_when_nobody_labelled_it() -> None:
    boxes = [
        _sandbox("s1", "shop", namespace="default"),
        _sandbox("s2", "shop", namespace="test", uid="v"),
        _sandbox("s3", "bank", namespace="test", uid="w"),
    ]
    items = [_container("c1", "web", box="s1"), _container("c2", "web", box="s2"), _container("c3", "web", box="s3")]
    client = cast(Client, Answers(items, boxes))
    assert find.container(client, "bank/web").id == "c3"
    assert find.container(client, "test/shop/web").id == "c2"
    with pytest.raises(FailedPrecondition):
        find.container(client, "shop/web")
    for text in ("bank/db", "none/web", "/", "bank/"):
        with pytest.raises(NotFound):
            find.container(client, text)


def test_pods_as_kubectl_writes_them() -> None:
    client = cast(Client, Answers([], [_sandbox("s1", "shop", namespace="default")]))
    assert find.sandbox(client, "pod/shop").id == find.sandbox(client, "pod/default/shop").id == "s1"
