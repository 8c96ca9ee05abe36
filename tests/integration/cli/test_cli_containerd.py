"""The commands against a runtime that is not Cricket: Debian's containerd, with one pod that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.fixtures import containerd, preloaded, registry
from harness.images import Image
from harness.node import Node
from harness.registry import Registry

from cricket.cli.main import main

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
