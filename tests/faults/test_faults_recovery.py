"""Killed again while it recovers from the first death, and before it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults_kit import Faults
from faults_scenarios import (
    RemovePodSandbox,
    RunPodSandbox,
    RunWarmPodSandbox,
    StartContainer,
    StopContainer,
    StopPodSandbox,
)
from harness.node import Node
from harness.registry import Registry

pytestmark = pytest.mark.root


@pytest.fixture
def faults(request: pytest.FixtureRequest, tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Faults]:
    network = request.getfixturevalue("scenario").network
    with (
        Node.made(tmp_path, registry=registry, network=network) as node,
        Faults.on(node, tmp_path, busybox_ref) as made,
    ):
        yield made


@pytest.mark.parametrize(
    ("scenario", "first"),
    [
        (RunPodSandbox, "runtime run"),
        (RunWarmPodSandbox, "warm sandbox claimed"),
        (StartContainer, "runtime create"),
        (StopContainer, "stop signal"),
        (StopPodSandbox, "store sandbox stopping"),
        (RemovePodSandbox, "store sandbox removing"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_second_death(faults: Faults, scenario: Callable[[Faults], object], first: str) -> None:
    faults.run_twice(lambda: scenario(faults), first)  # type: ignore[arg-type,return-value]
    assert faults.deaths
