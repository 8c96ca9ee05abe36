"""Every manifest of tests/manifests does what its comments say on Cricket and on Debian's containerd, and what can be
seen of its pods is the same on both. Twelve manifests at a time, as on a real node."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from harness.node import Node
from kubelet_agent import AgentProcess, agent_on
from kubelet_expect import FOLDER, expectations, needs, stops
from kubelet_observe import observe

pytestmark = pytest.mark.root

ALL = sorted(FOLDER.glob("*.yaml"))
BATCHES = [ALL[at : at + 12] for at in range(0, len(ALL), 12)]
CONTAINERD_HAS = {"handler-runc", "mount-propagation"}
"""What manifests need, and Debian's containerd 1.6 has. It has no user namespaces, image volumes, stop signals and
policies for supplemental groups."""
QUIET = 1.0
"""Seconds for which a pod has to look the same on both runtimes."""


class Difference(NamedTuple):
    """What is known to differ and is not compared: `pattern` in the lines of `pod` (an expression) becomes `text`; a
    line of which nothing remains is left out."""

    pod: str
    pattern: str
    text: str
    why: str


KNOWN = (
    Difference(
        "image-missing",
        r'(Failed to pull image "[^"]*": |ErrImagePull: |main state message: (?!Back-off)).*',
        r"\1...",
        "each runtime says in its own words why it cannot pull",
    ),
    Difference(
        "command-missing",
        r"(Error: |main state message: ).*",
        r"\1...",
        "each runtime says in its own words why it cannot start",
    ),
    Difference(
        "host-port|probe-readiness-http|probe-startup-tcp|sidecar",
        r"^event Warning Unhealthy .*: connection refused$",
        "",
        "the first probe may come before the server listens, or after it",
    ),
    Difference(
        "security-privileged",
        r"wrote: sysfs r[ow]",
        "wrote: sysfs ...",
        "containerd's pause container has mounted the pod's sysfs read-only before, for good",
    ),
)
RESTLESS = {
    "hook-failure": "it is restarted again and again",
    "init-crash": "it is restarted again and again",
    "probe-grace": "it is restarted again and again",
    "probe-liveness-exec": "it is restarted again and again",
    "restart-always": "it is restarted again and again",
    "sidecar-restart": "it is restarted again and again",
}
"""Pods whose last events depend on the moment at which they are ended."""


class Side(NamedTuple):
    """One runtime with its agent, and what it runs."""

    name: str
    agent: AgentProcess
    has: set[str] | None

    def runs(self, path: Path) -> bool:
        return self.has is None or set(needs(path)) <= self.has

    def put(self, path: Path) -> None:
        if self.runs(path):
            # Both have the port of the node, one after the other would take longer.
            port = "38080" if self.has is None else "38081"
            self.agent.put(path.read_text().replace("busybox:1", "IMAGE").replace("38080", port), path.name)

    def unmet(self, batch: list[Path]) -> dict[str, list[str]]:
        """What is not yet as the manifests say, by pod."""
        pods = {pod["metadata"]["name"]: pod for pod in self.agent.ask("/pods")["items"]}
        found: dict[str, list[str]] = {}
        for path in filter(self.runs, batch):
            for wanted in expectations(path):
                if not wanted.met(self.agent, pods):
                    words = f"{self.name}: {' '.join(wanted)}: found {wanted.found(self.agent, pods)[:300]!r}"
                    found.setdefault(wanted.pod, []).append(words)
        return found

    def seen(self) -> dict[str, list[str]]:
        """What somebody sees, without the known differences."""
        return {pod: _without_known(pod, lines) for pod, lines in observe(self.agent).items()}

    def logs(self, pod: str) -> str:
        """The log files of a pod as they are, for failures."""
        files = sorted(self.agent.logs.glob(f"*_{pod}_*/*/*"))
        return "\n".join(f"{self.name}: {path}:\n{path.read_text()}" for path in files)


def _without_known(pod: str, lines: list[str]) -> list[str]:
    for known in KNOWN:
        if re.fullmatch(known.pod, pod):
            lines = [re.sub(known.pattern, known.text, line) for line in lines]
    return sorted(filter(None, lines))


@pytest.fixture
def sides(
    node: Node, containerd: Node, preloaded: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Side, Side]]:
    """Cricket and containerd."""
    node.pull(preloaded)
    with (
        agent_on(node, preloaded, tmp_path_factory.mktemp("agent")) as ours,
        agent_on(containerd, preloaded, tmp_path_factory.mktemp("agent")) as theirs,
    ):
        yield Side("cricket", ours, None), Side("containerd", theirs, CONTAINERD_HAS)


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"{batch[0].stem}-{batch[-1].stem}")
def test_both_do_the_same(sides: tuple[Side, Side], batch: list[Path]) -> None:
    for path in batch:
        for side in sides:
            side.put(path)
    _settle(sides, batch)
    before = [side.seen() for side in sides]
    ended = _end(sides)
    for side, took in zip(sides, ended, strict=True):
        for path in filter(side.runs, batch):
            for pod, operator, seconds in stops(path):
                late = took[pod] >= seconds
                assert late is (operator == "least"), f"{side.name}: {pod} ended after {took[pod]:.1f} s"
    last = [_last_words(side, lines) for side, lines in zip(sides, before, strict=True)]
    common = {e.pod for path in batch if all(side.runs(path) for side in sides) for e in expectations(path)}
    found = [_difference(pod, last[0].get(pod, []), last[1].get(pod, [])) for pod in common - set(RESTLESS)]
    assert not any(found), "\n".join(found)


def _settle(sides: tuple[Side, Side], batch: list[Path], limit: float = 60.0) -> None:
    """Wait until each pod is as its manifest says, and looks the same on both sides for a while."""
    both = {e.pod for path in batch if all(side.runs(path) for side in sides) for e in expectations(path)}
    alone = {e.pod for path in batch for e in expectations(path)} - both
    since: dict[str, tuple[list[str], float]] = {}
    deadline = time.monotonic() + limit
    while both or alone:
        unmet = [side.unmet(batch) for side in sides]
        alone -= alone - set(unmet[0])
        ours, theirs = (side.seen() for side in sides)
        for pod in sorted(both):
            lines, now = ours.get(pod, []), time.monotonic()
            if pod in unmet[0] or pod in unmet[1] or lines != theirs.get(pod):
                since.pop(pod, None)
            elif since.get(pod, ([], 0.0))[0] != lines:
                since[pod] = lines, now
            elif now - since[pod][1] >= QUIET:
                both.discard(pod)
        if time.monotonic() > deadline:
            wrong = [words for one in unmet for lines in one.values() for words in lines]
            wrong += [_difference(pod, ours.get(pod, []), theirs.get(pod, [])) for pod in sorted(both)]
            pytest.fail("\n".join(wrong + [side.logs(pod) for pod in sorted(both) for side in sides]))
        time.sleep(0.05)


def _end(sides: tuple[Side, Side], limit: float = 60.0) -> list[dict[str, float]]:
    """Remove all manifests; the seconds until each pod was gone, for each side."""
    began = time.monotonic()
    there = [{pod["metadata"]["name"] for pod in side.agent.ask("/pods")["items"]} for side in sides]
    for side in sides:
        for path in side.agent.folder.iterdir():
            path.unlink()
    took: list[dict[str, float]] = [{}, {}]
    while any(there):
        for side, names, gone in zip(sides, there, took, strict=True):
            now = {pod["metadata"]["name"] for pod in side.agent.ask("/pods")["items"]}
            gone.update(dict.fromkeys(names - now, time.monotonic() - began))
            names &= now
        assert time.monotonic() < began + limit, f"these pods do not end: {there}"
        time.sleep(0.05)
    return took


def _last_words(side: Side, before: dict[str, list[str]]) -> dict[str, list[str]]:
    """The events that the end of the pods has brought; probes may fail while a container ends, or not."""
    return {
        pod: [line for line in lines if line not in before.get(pod, []) and " Unhealthy " not in line]
        for pod, lines in side.seen().items()
    }


def _difference(pod: str, ours: list[str], theirs: list[str]) -> str:
    lines = difflib.unified_diff(ours, theirs, f"{pod} on cricket", f"{pod} on containerd", n=0, lineterm="")
    return "\n".join(lines)
