"""Commands as their users run them, on nodes of their own: Cricket's, and Debian's containerd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.containerd import ContainerdNode
from harness.fixtures import registry
from harness.images import busybox
from harness.node import Node
from harness.registry import Registry

__all__ = ["cricket", "image", "node", "registry"]
_MAIN = "import sys; from cricket.cli.main import main; sys.exit(main())"


@pytest.fixture(scope="session")
def image(registry: Registry) -> str:
    """The busybox image under a tag that is pulled only where it is missing."""
    return registry.push("test/busybox", busybox(), "1")


@pytest.fixture(scope="module", params=["cricket", "containerd"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, registry: Registry, image: str
) -> Iterator[Node]:
    """A runtime for a whole module, with the image. At its end it must be clean."""
    kind = Node if request.param == "cricket" else ContainerdNode
    with kind.made(tmp_path_factory.mktemp(request.param), registry=registry) as made:
        made.pull(image)
        yield made
        made.remove_pods()
        made.assert_clean(request.param)


class Cricket:
    """`cricket` against a node."""

    def __init__(self, socket: str, directory: Path) -> None:
        self._env = {**os.environ, "CONTAINER_RUNTIME_ENDPOINT": f"unix://{socket}", "NO_COLOR": "1"}
        self.directory = directory
        self._running: list[subprocess.Popen[Any]] = []

    def forget_endpoint(self) -> None:
        """As on a machine where nothing is configured."""
        del self._env["CONTAINER_RUNTIME_ENDPOINT"]

    def __call__(self, *words: str, input: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run to the end."""
        argv = [sys.executable, "-c", _MAIN, *words]
        return subprocess.run(
            argv, input=input, capture_output=True, timeout=60, env=self._env, cwd=self.directory, **options
        )

    def ok(self, *words: str, input: bytes = b"") -> str:
        """Run; it has to succeed."""
        done = self(*words, input=input)
        assert done.returncode == 0, (words, done.stderr.decode(), done.stdout.decode())
        return done.stdout.decode()

    def start(self, *words: str, **options: Any) -> subprocess.Popen[Any]:
        """Run beside the test."""
        process = subprocess.Popen([sys.executable, "-c", _MAIN, *words], env=self._env, cwd=self.directory, **options)
        self._running.append(process)
        return process

    def end(self) -> None:
        """End what still runs."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def cricket(node: Node, tmp_path: Path) -> Iterator[Cricket]:
    made = Cricket(node.socket, tmp_path)
    yield made
    made.end()
