"""What an agent does beside its pods: logs are rotated, dead containers and unused images go. With short periods."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from harness.images import Image
from harness.node import Node
from harness.registry import Registry

from cricket.kubelet import backoff
from cricket.kubelet.agent import Agent
from cricket.kubelet.agent_session import Options, session
from cricket.kubelet.manifest.load import load
from cricket.kubelet.source import Offer
from cricket.kubelet.worker_parts import Settings

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "IMAGE", command: [sh, -c, COMMAND]}]
"""
MS = 1_000_000


@contextlib.asynccontextmanager
async def running(node: Node, path: Path, image: str, command: str, **settings: object) -> AsyncIterator[Agent]:
    """An agent with one pod, which it ends at the end."""
    text = POD.replace("IMAGE", image).replace("COMMAND", f'"{command}"')

    async def once(offer: Offer) -> None:
        offer("test", (load(text.encode(), "test", "node"),))

    root = str(path / "root")
    facts = {"root": root, "log_root": str(path / "logs"), "cgroup_root": f"/{node.token}"}
    made = Settings(name=node.token, relist=0.3, **settings)  # type: ignore[arg-type]  # fields of Settings
    async with session(Options(f"unix://{node.socket}", settings=made, node=facts), {"test": once}) as agent:
        try:
            yield agent
        finally:
            await agent.end_all(0.0)


async def until(done: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Wait for it."""
    try:
        async with asyncio.timeout(timeout):
            while not done():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(what)


async def test_logs_are_rotated_and_compressed(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    count = "i=0; while :; do i=$((i+1)); echo line $i; usleep 500; done"
    limits = {"log_size": 20_000, "log_files": 3, "log_period": 0.3}
    async with running(node, tmp_path, busybox_ref, count, **limits):

        def files() -> list[Path]:
            return sorted((tmp_path / "logs").glob("*/main/0.log*"))

        await until(lambda: len(files()) == 3 and files()[1].suffix == ".gz", f"not rotated: {files()}")
        first = files()[1].name
        await until(lambda: len(files()) == 3 and files()[1].name != first, "the oldest does not go")
        packed, plain = files()[1:]
        text = gzip.decompress(packed.read_bytes()) + plain.read_bytes()
        numbers = [int(line.split()[-1]) for line in text.splitlines()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "lines are lost between two files"
        assert plain.stat().st_size > 20_000
    node.assert_clean("the agent")


async def test_dead_containers_go_with_their_logs(node: Node, busybox_ref: str, tmp_path: Path) -> None:
    quick = backoff.Limits(10 * MS, 20 * MS)
    async with running(node, tmp_path, busybox_ref, "echo dead; exit 1", limits=quick) as agent:

        def restarts() -> int:
            statuses = [s for w in agent.workers.values() for s in w.status.get("containerStatuses", ())]
            return sum(status["restartCount"] for status in statuses)

        await until(lambda: restarts() >= 5, "it is not restarted")
        logs = {path.name for path in (tmp_path / "logs").glob("*/main/*.log")}
        assert len(node.cri.call("ListContainers").containers) <= 3
        assert "0.log" not in logs and len(logs) <= 3
    node.assert_clean("the agent")


async def test_images_that_nobody_uses_go_when_the_disk_is_full(
    node: Node, registry: Registry, busybox_ref: str, tmp_path: Path
) -> None:
    """0 per cent is always too full. What is used stays, and what was seen only a moment ago."""
    other = registry.push("test/other", Image({"etc/other": b"x"}))
    node.cri.call("PullImage", image={"image": other})

    def tags() -> set[str]:
        return {tag for image in node.cri.call("ListImages").images for tag in image.repo_tags}

    limits = {"image_gc_high": 0, "image_gc_low": 0, "image_min_age": 1.0, "gc_period": 0.2}
    async with running(node, tmp_path, busybox_ref, "sleep 1000", **limits):
        assert other in tags()
        await until(lambda: other not in tags(), "it stays")
        assert busybox_ref in tags()
    node.assert_clean("the agent")
