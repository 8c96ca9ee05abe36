"""The commands against a runtime that is not Cricket: Debian's containerd, with one pod that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.fixtures import containerd, preloaded, registry
from harness.images import Image
from harness.node import Node
from harness.registry import Registry

from cricket.cli.main import main
from cricket.client.connection import Client
from cricket.client.errors import RemoteError
from cricket.errors import Code

__all__ = ["containerd", "preloaded", "registry"]
pytestmark = pytest.mark.root
Run = Callable[..., str]


@pytest.fixture(scope="module")
def web(containerd: Node, preloaded: str) -> Iterator[str]:
    """A container named web in a pod named shop; its id."""
    config = containerd.pod("shop")
    pod = containerd.run_pod(config)
    command = ("sh", "-c", "echo one; echo two >&2; exec sleep 1000")
    yield containerd.run(pod, containerd.container(preloaded, *command, name="web"), config)
    containerd.remove_pods()


@pytest.fixture
def run(containerd: Node, web: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that must succeed; its output."""
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", f"unix://{containerd.socket}")

    def command(*words: str) -> str:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        assert code == 0, (words, code, err)
        return out

    return command


def _rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:]]


def test_pods_of_containerd(run: Run) -> None:
    assert [row[1:4] for row in _rows(run("pods"))] == [["test", "shop", "Ready"]]


def test_ps_of_containerd(run: Run, web: str) -> None:
    assert [row[1:4] for row in _rows(run("ps"))] == [["web", "shop", "Running"]]
    assert run("ps", "-q").strip() == web


def test_images_of_containerd(run: Run, preloaded: str) -> None:
    name, _, tag = preloaded.rpartition(":")
    assert [name, tag] in [row[:2] for row in _rows(run("images"))]


def test_inspect_of_containerd(run: Run, web: str) -> None:
    assert json.loads(run("inspect", "-o", "json", "web"))["status"]["id"] == web
    assert json.loads(run("inspect", "-o", "json", "shop"))["status"]["metadata"]["name"] == "shop"


def test_logs_of_containerd(run: Run) -> None:
    assert run("logs", "web").splitlines() == ["one"]
    assert run("logs", "--tail", "1", "shop/web").splitlines() in (["one"], [])


@pytest.mark.parametrize("transport", ["spdy"])
def test_exec_on_containerd(run: Run, transport: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("exec", "--transport", transport, "web", "echo", "hello") == "hello\n"
    assert main(("exec", "--transport", transport, "web", "sh", "-c", "exit 7")) == 7
    capfd.readouterr()


def test_stats_of_containerd(run: Run) -> None:
    (row,) = _rows(run("stats", "--interval", "100ms"))
    assert "web" in row


def test_version_of_containerd(run: Run) -> None:
    assert "containerd" in run("version")


def test_info_of_containerd(run: Run) -> None:
    assert "containerd" in run("info")


def test_run_stop_rm_on_containerd(run: Run, preloaded: str, tmp_path: Path) -> None:
    pod, container = tmp_path / "pod.json", tmp_path / "container.json"
    pod.write_text(json.dumps({"metadata": {"name": "box", "uid": "u1"}, "log_directory": str(tmp_path)}))
    wanted = {"metadata": {"name": "job"}, "image": {"image": preloaded}, "command": ["sleep", "1000"]}
    container.write_text(json.dumps({**wanted, "log_path": "job.log"}))
    container_id = run("run", str(container), str(pod)).strip()
    assert run("stop", "-t", "0", "job").strip() == container_id
    assert "Exited (137)" in run("ps", "-a")
    assert run("rm", "job").strip() == container_id
    run("stopp", "box")
    run("rmp", "box")
    assert [row[2] for row in _rows(run("pods"))] == ["shop"]


def test_pull_and_rmi_on_containerd(run: Run, registry: Registry) -> None:
    image = Image({"etc/hello": b"hello\n"})
    reference = registry.push("test/hello", image)
    assert run("pull", "-q", reference).strip() in (
        image.id,
        reference,
        f"{reference.rpartition(':')[0]}@{image.digest}",
    )
    assert reference.rpartition(":")[0] in run("images")
    run("rmi", reference)
    assert reference.rpartition(":")[0] not in run("images")


def test_the_client_and_grpc_in_go(containerd: Node, web: str) -> None:
    """What a server written in Go makes of our HTTP/2: indexed headers, windows, resets, time limits."""
    with Client(f"unix://{containerd.socket}") as client:
        for _ in range(3):
            with pytest.raises(RemoteError, match="nosuch ü") as caught:
                client.call("ContainerStatus", container_id="nosuch ü")
            assert caught.value.code is Code.NOT_FOUND
        labels = {str(number): "x" * 1000 for number in range(8000)}  # many windows, and nothing that has them
        assert not client.call("ListContainers", filter={"label_selector": labels}).containers
        script = "head -c 6000000 /dev/zero | tr '\\0' x"
        assert len(client.call("ExecSync", container_id=web, cmd=["sh", "-c", script]).stdout) == 6_000_000
        work = client.start("ExecSync", container_id=web, cmd=["sleep", "1000"], timeout=1000)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.call("ListContainers").containers[0].id, range(100)))
        assert answers == [web] * 100 and not work.done()
        work.cancel()
        with pytest.raises(RemoteError) as caught:
            work.result()
        assert caught.value.code is Code.CANCELLED
    with Client(f"unix://{containerd.socket}", 0.3) as hurried, pytest.raises(RemoteError) as caught:
        hurried.call("ExecSync", container_id=web, cmd=["sleep", "1000"], timeout=1000)
    assert caught.value.code is Code.DEADLINE_EXCEEDED and caught.value.what == "no answer within 0.3 s"
