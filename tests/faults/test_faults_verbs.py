"""Killed by SIGKILL after any effect of any verb, and started again: nothing leaks, nothing is lost, the retry works."""

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
def faults(tmp_path: Path, registry: Registry, busybox_ref: str) -> Iterator[Faults]:
    with Node.made(tmp_path, registry=registry) as node, Faults.on(node, tmp_path, busybox_ref) as made:
        yield made


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_death_after_each_effect(faults: Faults, scenario: Callable[[Faults], object]) -> None:
    faults.run(lambda: scenario(faults))  # type: ignore[arg-type,return-value]
    print(f"{scenario.__name__}: {len(faults.deaths)} deaths")
