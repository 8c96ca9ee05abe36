"""Every manifest of tests/manifests does on Cricket what its comments say. Eight at a time, as on a real node."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.node import until
from kubelet_agent import AgentProcess
from kubelet_expect import FOLDER, expectations

pytestmark = pytest.mark.root

ALL = sorted(FOLDER.glob("*.yaml"))
BATCHES = [ALL[at : at + 8] for at in range(0, len(ALL), 8)]


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"{batch[0].stem}-{batch[-1].stem}")
def test_manifests(agent: AgentProcess, batch: list[Path]) -> None:
    for path in batch:
        agent.put(path.read_text().replace("busybox:1", "IMAGE"), path.name)
    open_ = {path: expectations(path) for path in batch}

    def all_seen() -> bool:
        pods = {pod["metadata"]["name"]: pod for pod in agent.ask("/pods")["items"]}
        for path, wanted in list(open_.items()):
            if all(expectation.met(agent, pods) for expectation in wanted):
                del open_[path]
        return not open_

    try:
        until(all_seen, "", 60)
    except AssertionError:
        pods = {pod["metadata"]["name"]: pod for pod in agent.ask("/pods")["items"]}
        unmet = [
            f"{path.name}: {' '.join(expectation)}: found {expectation.found(agent, pods)[:300]!r}"
            for path, wanted in open_.items()
            for expectation in wanted
            if not expectation.met(agent, pods)
        ]
        pytest.fail("\n".join(unmet))
