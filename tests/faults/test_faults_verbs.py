"""Killed by SIGKILL after any effect of any verb and started again: nothing leaks or is lost, and the retry works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults_kit import Faults
from faults_scenarios import SCENARIOS
from harness.node import Node
from harness.registry import Registry

pytestmark = pytest.mark.root


@pytest.fixture
def faults(request: pytest.FixtureRequest, tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Faults]:
    # Unused blobs are swept at every start, not only when they are old: the leak check looks for them.
    images = {"gc_min_age": 0}
    network = request.getfixturevalue("scenario").network
    with (
        Node.made(tmp_path, registry=registry, images=images, network=network) as node,
        Faults.on(node, tmp_path, busybox_ref) as made,
    ):
        yield made


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_death_after_each_effect(faults: Faults, scenario: Callable[[Faults], object]) -> None:
    faults.run(lambda: scenario(faults))  # type: ignore[arg-type,return-value]
    print(f"{scenario.__name__}: {len(faults.deaths)} deaths")
