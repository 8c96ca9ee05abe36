"""The commands against a CRI server with a fake engine, over a real socket."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import Internal, NotFound
from cricket.types.image import Image
from cricket.types.side import LayerState, PullState
from cricket.types.stage import operation, stage

Cricket = Any
Node = Any


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """(container, pod)."""
    pod, container = tmp_path / "pod.json", tmp_path / "container.json"
    pod.write_text(json.dumps({"metadata": {"name": "shop", "uid": "u1"}, "log_directory": str(tmp_path)}))
    container.write_text(
        json.dumps({"metadata": {"name": "web"}, "image": {"image": "busybox"}, "log_path": "web.log"})
    )
    return str(container), str(pod)


def _ok(result: tuple[int, str, str]) -> str:
    assert result[0] == 0, result
    return result[1]


def test_the_life_of_a_pod(cricket: Cricket, files: tuple[str, str]) -> None:
    container_id = _ok(cricket("run", *files)).strip()
    assert len(container_id) == 64
    header, row = _ok(cricket("ps")).splitlines()
    assert header.split() == ["CONTAINER", "NAME", "POD", "STATE", "AGE", "ATTEMPT", "IMAGE"]
    assert row.split()[1:4] == ["web", "shop", "Running"]
    assert _ok(cricket("pods")).splitlines()[1].split()[1:4] == ["default", "shop", "Ready"]
    code, _, error = cricket("rm", "web")
    assert (code, error) == (1, "cricket: the container runs (web): stop it first, or use -f\n")
    assert _ok(cricket("stop", "-t", "0.5", "web")).strip() == container_id
    assert _ok(cricket("ps")).count("\n") == 1
    assert "Exited (137)" in _ok(cricket("ps", "-a"))
    assert _ok(cricket("rm", "web")).strip() == container_id
    code, _, error = cricket("rmp", "shop")
    assert code == 1 and "the pod is ready" in error
    _ok(cricket("stopp", "default/shop"))
    _ok(cricket("rmp", "shop"))
    assert _ok(cricket("pods", "-q")) == ""


def test_step_by_step(cricket: Cricket, files: tuple[str, str]) -> None:
    box = _ok(cricket("runp", files[1])).strip()
    container_id = _ok(cricket("create", "shop", *files)).strip()
    assert "Created" in _ok(cricket("ps", "-a", "--pod", "shop"))
    assert _ok(cricket("start", "-o", "json", container_id[:8])) == (
        json.dumps([{"name": container_id[:8], "id": container_id}], indent=2) + "\n"
    )
    assert json.loads(_ok(cricket("pods", "-o", "json")))["items"][0]["id"] == box
    assert _ok(cricket("ps", "-q", "--state", "running")).strip() == container_id
    assert _ok(cricket("rm", "-fa")).strip() == container_id
    assert _ok(cricket("rmp", "-fa")).strip() == box


def test_run_leaves_no_pod_behind_when_the_container_fails(
    cricket: Cricket, node: Node, files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(container_id: str) -> None:
        raise Internal("the runtime failed", where="crun")

    monkeypatch.setattr(node.engine.containers, "start", broken)
    code, out, error = cricket("run", *files)
    assert (code, out, error) == (1, "", "cricket: the runtime failed (crun)\n")
    assert _ok(cricket("pods", "-q")) == ""
    assert cricket("run", "--keep", *files)[0] == 1
    assert _ok(cricket("pods", "-q")) != ""


def test_run_does_not_end_a_pod_that_was_there(
    cricket: Cricket, node: Node, files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(container_id: str) -> None:
        raise Internal("the runtime failed", where="crun")

    box = _ok(cricket("runp", files[1])).strip()
    monkeypatch.setattr(node.engine.containers, "start", broken)
    assert cricket("run", *files)[0] == 1
    assert _ok(cricket("pods", "-q", "--no-trunc", "--state", "ready")).strip() == box


def test_what_is_not_there_is_exit_code_3(cricket: Cricket, tmp_path: Path) -> None:
    for words in (
        ("stop", "no"),
        ("stopp", "no"),
        ("logs", "no"),
        ("inspect", "no"),
        ("inspect", "--kind", "image", "no"),
        ("exec", "no", "ls"),
        ("rmi", "no"),
        ("runp", str(tmp_path / "no.json")),
    ):
        code, out, error = cricket(*words)
        assert code == 3 and not out and error.startswith("cricket: ") and error.count("\n") == 1, words


def test_one_that_fails_does_not_stop_the_others(cricket: Cricket, files: tuple[str, str]) -> None:
    container_id = _ok(cricket("run", *files)).strip()
    code, out, error = cricket("stop", "no", "web", "neither")
    assert code == 3 and out.strip() == container_id and error.count("\n") == 2


def test_images(cricket: Cricket) -> None:
    assert "docker.io/library/busybox  latest" in _ok(cricket("images"))
    assert _ok(cricket("images", "nginx")).count("\n") == 1
    pulled = _ok(cricket("pull", "docker.io/library/nginx:1", "--creds", "me:secret")).strip()
    assert _ok(cricket("images", "-q", "nginx")).strip() == pulled
    assert json.loads(_ok(cricket("inspect", "-o", "json", "busybox")))["image"]["size"] == "2200000"
    assert _ok(cricket("rmi", "docker.io/library/nginx:1")).strip() == pulled
    assert cricket("pull", "x", "--creds", "nocolon")[0] == 2


def test_unused_images(cricket: Cricket, files: tuple[str, str]) -> None:
    _ok(cricket("run", *files))
    pulled = _ok(cricket("pull", "docker.io/library/nginx:1")).strip()
    assert _ok(cricket("rmi", "--unused")).strip() == pulled


def test_inspect_is_a_tree_with_times(cricket: Cricket, files: tuple[str, str]) -> None:
    container_id = _ok(cricket("run", *files)).strip()
    lines = _ok(cricket("inspect", "web")).splitlines()
    assert f"  id: {container_id}" in lines and "    pid: 1" in lines
    assert any(line.startswith(f"  startedAt: {time.strftime('%Y-')}") for line in lines)
    assert not any("finishedAt" in line for line in lines)
    both = json.loads(_ok(cricket("inspect", "-o", "json", "web", "shop")))
    assert [item["status"]["metadata"]["name"] for item in both] == ["web", "shop"]


def test_exec_sync(cricket: Cricket, files: tuple[str, str]) -> None:
    _ok(cricket("run", *files))
    assert cricket("exec", "--sync", "web", "exit", "7") == (7, "exit 7", "")
    assert json.loads(cricket("exec", "-s", "-o", "json", "web", "exit", "3")[1]) == {
        "stdout": "exit 3",
        "stderr": "",
        "exitCode": 3,
    }
    _ok(cricket("stop", "web"))
    code, _, error = cricket("exec", "-s", "web", "ls")
    assert code == 1 and "not running" in error


def test_the_time_limit_is_told(cricket: Cricket, files: tuple[str, str]) -> None:
    _ok(cricket("run", *files))
    code, _, error = cricket("--timeout", "0.2", "exec", "-s", "web", "sleep")
    assert code == 1 and error.startswith("cricket: no answer within 0.2 s (ExecSync): `cricket why`")


def test_stats_status_version_info(cricket: Cricket, files: tuple[str, str]) -> None:
    _ok(cricket("run", *files))
    assert _ok(cricket("stats", "--interval", "0")).splitlines()[1].split()[1] == "web"
    assert _ok(cricket("statsp", "--interval", "0", "shop")).splitlines()[1].split()[1:3] == ["default", "shop"]
    assert json.loads(_ok(cricket("stats", "-o", "json", "web")))["stats"][0]["cpu"]
    assert "NetworkReady  yes" in _ok(cricket("status"))
    assert json.loads(_ok(cricket("status", "--verbose", "-o", "json")))["info"] == {"config": {}}
    assert "runtime  cricket " in _ok(cricket("version"))
    assert json.loads(_ok(cricket("info", "-o", "json")))["pods"] == 1
    assert "up: " in _ok(cricket("info"))


def test_update_and_checkpoint(cricket: Cricket, node: Node, files: tuple[str, str]) -> None:
    container_id = _ok(cricket("run", *files)).strip()
    _ok(cricket("update", "--memory", "64M", "--cpu-quota", "-1", "--unified", "memory.high=1", "web"))
    resources = node.engine.containers.records[container_id].resources
    assert (resources.memory_limit, resources.cpu_quota, resources.unified) == (64 << 20, -1, {"memory.high": "1"})
    assert _ok(cricket("checkpoint", "web", "/tmp/x.tar")) == "/tmp/x.tar\n"
    assert node.engine.containers.checkpoints == [(container_id, "/tmp/x.tar")]


def test_logs(cricket: Cricket, files: tuple[str, str], tmp_path: Path) -> None:
    _ok(cricket("run", *files))
    assert cricket("logs", "web")[0] == 3  # the fake writes none
    stamp = "2026-01-02T03:04:05.000000006Z"
    (tmp_path / "web.log").write_text(
        f"{stamp} stdout F one\n{stamp} stdout P tw\n{stamp} stderr F bad\n{stamp} stdout F o\n"
    )
    assert cricket("logs", "web") == (0, "one\ntwo\n", "bad\n")
    assert cricket("logs", "--tail", "1", "-t", "web") == (0, f"{stamp} o\n", "")
    assert _ok(cricket("logs", "--since", "1h", "web")) == ""
    _ok(cricket("stop", "web"))
    assert cricket("logs", "-f", "web") == (0, "one\ntwo\n", "bad\n")


def test_events_of_the_past(cricket: Cricket, files: tuple[str, str]) -> None:
    _ok(cricket("run", *files))
    _ok(cricket("stop", "web"))
    events = json.loads(_ok(cricket("events", "-o", "json")))
    assert [(e["kind"], e["type"]) for e in events] == [
        ("pod", "created"),
        ("container", "created"),
        ("container", "started"),
        ("container", "stopped"),
    ]
    assert events[-1]["name"] == "default/shop/web" and events[-1]["detail"] == "exit code 137, Error"


def test_events_as_they_happen(cricket: Cricket, node: Node, files: tuple[str, str]) -> None:
    container_id = _ok(cricket("run", *files)).strip()
    command = [sys.executable, "-c", "import sys; from cricket.cli.main import main; sys.exit(main())"]

    async def stop() -> None:
        while not node.engine.node._readers:
            await asyncio.sleep(0.01)
        await node.engine.containers.stop(container_id, 0)

    with subprocess.Popen([*command, "events", "-f", "--new", "-o", "json"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        node.run(stop())
        lines = [json.loads(process.stdout.readline())]
        # Only now: the command learns the container's name from what it hears while the container is there.
        node.run(node.engine.containers.remove(container_id))
        lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert [(e["type"], e["name"]) for e in lines] == [
        ("stopped", "default/shop/web"),
        ("deleted", "default/shop/web"),
    ]


def test_why(cricket: Cricket, node: Node) -> None:
    assert _ok(cricket("why")) == "nothing is running\n"

    async def work(started: asyncio.Event, end: asyncio.Event) -> None:
        with operation("RunPodSandbox", "ab" * 32), stage("network setup", "cni"):
            started.set()
            await end.wait()

    async def begin() -> tuple[asyncio.Task[None], asyncio.Event]:
        started, end = asyncio.Event(), asyncio.Event()
        task = asyncio.ensure_future(work(started, end))
        await started.wait()
        return task, end

    async def finish() -> None:
        end.set()
        await task

    task, end = node.run(begin())
    head, line = _ok(cricket("why", "abab")).splitlines()
    assert head.startswith("RunPodSandbox  ababababababa  since ") and "running for" in head
    assert line.split()[1:3] == ["network", "setup"] and line.endswith("and counting  cni")
    assert json.loads(_ok(cricket("why", "-o", "json")))["operations"][0]["running"] is True
    node.run(finish())
    assert "took " in _ok(cricket("why", "abab"))
    assert _ok(cricket("why", "0000")).startswith("nothing is known of it")


class Archives:
    """Remembers what is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def load(self, path: str, name: str) -> Sequence[Image]:
        self.calls.append(("load", path, name))
        return [Image(id="sha256:" + "a" * 64, tags=("x:1",))]

    async def save(self, names: Sequence[str], path: str, kind: str) -> None:
        self.calls.append(("save", tuple(names), path, kind))

    async def import_root(
        self, path: str, name: str, command: Sequence[str], env: Sequence[str], working_dir: str
    ) -> Image:
        self.calls.append(("import", path, name, tuple(command), tuple(env), working_dir))
        return Image(id="sha256:" + "b" * 64)


class Pulls:
    """One pull whose states come when the test says so."""

    async def watch(self, reference: str) -> AsyncIterator[PullState]:
        if not reference.startswith("slow"):
            raise NotFound("no such pull", where=reference)
        yield PullState(reference, "resolving")
        yield PullState(reference, "fetching", (LayerState("sha256:1", 10, 5, "downloading"),))
        yield PullState(reference, "done", (), "sha256:x")


def _restart(node: Node, **side: Any) -> None:
    node.run(node._server.stop(0.2))
    node.run(node._streaming.stop())
    node.side = side
    node.run(node._start())


def test_archives(cricket: Cricket, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = Archives()
    _restart(node, archives=archives)
    monkeypatch.chdir(tmp_path)
    assert _ok(cricket("load", "--name", "x:1", "a.tar")).splitlines()[1].split() == ["a" * 13, "x:1"]
    assert _ok(cricket("save", "a", "b", "out.tar")).strip() == str(tmp_path / "out.tar")
    assert _ok(cricket("import", "--command", "sh -c 'a b'", "--env", "A=1", "--workdir", "/w", "root", "y:1"))
    assert archives.calls == [
        ("load", str(tmp_path / "a.tar"), "x:1"),
        ("save", ("a", "b"), str(tmp_path / "out.tar"), "oci-archive"),
        ("import", str(tmp_path / "root"), "y:1", ("sh", "-c", "a b"), ("A=1",), "/w"),
    ]


def test_progress_of_a_pull(cricket: Cricket, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    _restart(node, pulls=Pulls())
    original, watched = node.engine.images.pull, threading.Event()

    async def slow(reference: str, *rest: Any) -> str:
        while not watched.is_set():
            await asyncio.sleep(0.01)
        return str(await original(reference, *rest))

    monkeypatch.setattr(node.engine.images, "pull", slow)
    monkeypatch.setattr("cricket.cli.progress.Display.show", _telling(watched))
    code, out, error = cricket("pull", "slow:1")
    assert code == 0 and out.startswith("sha256:")
    assert error.splitlines()[:2] == ["slow:1: resolving", "slow:1: fetching, 0 of 1 layers"]


def _telling(watched: threading.Event) -> Any:
    from cricket.cli.progress import Display

    show = Display.show

    def tell(self: Display, state: Any, name: str) -> None:
        show(self, state, name)
        if state.stage == "done":
            watched.set()

    return tell


def test_what_the_runtime_cannot_do_is_said(cricket: Cricket) -> None:
    code, _, error = cricket("load", "x.tar")
    assert code == 1 and error == "cricket: this runtime cannot do that (LoadImage): it is for Cricket's own daemon\n"
