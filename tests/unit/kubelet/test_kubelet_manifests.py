"""The manifests of tests/manifests: the good ones load, the bad ones are told what they have to be told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cricket.kubelet.manifest.load import load

DIRECTORY = Path(__file__).parents[2] / "manifests"
GOOD = sorted(DIRECTORY.glob("*.yaml"))
BAD = sorted((DIRECTORY / "bad").glob("*.yaml"))

_EXPECT = re.compile(
    r"[a-z0-9-]+ (phase|reason|ready|qos|ip|[a-z0-9-]+\.(state|reason|lastReason|exitCode|restarts|ready|message|log))"
    r" (is|has|lacks|least) .+"
)


def test_there_are_enough() -> None:
    assert len(GOOD) >= 40
    assert len(BAD) >= 15


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good(path: Path) -> None:
    found = load(path.read_bytes(), path.name, "node")
    assert [str(problem) for problem in (*found.errors, *found.warnings)] == []
    assert found.pods
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# shows: ")
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    assert expected
    for line in expected:
        assert _EXPECT.fullmatch(line), line
        assert line.split()[0] in [pod.metadata.name for pod in found.pods], line


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path: Path) -> None:
    found = load(path.read_bytes(), path.name, "node")
    lines = path.read_text().splitlines()
    for kind, problems in (("error", found.errors), ("warning", found.warnings)):
        expected = [line.removeprefix(f"# {kind}: ") for line in lines if line.startswith(f"# {kind}: ")]
        assert sorted(str(problem).removeprefix(f"{path.name}:") for problem in problems) == sorted(expected)
