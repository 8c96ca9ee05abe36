"""OCI hooks from directories."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import InvalidArgument
from cricket.oci.hooks import HookDirectories, parse_hook


def hook(**changes: Any) -> dict[str, Any]:
    base = {"version": "1.0.0", "hook": {"path": "/bin/sh"}, "when": {"always": True}, "stages": ["poststop"]}
    return {**base, **changes}


def parsed(**changes: Any) -> Any:
    return parse_hook(json.dumps(hook(**changes)).encode(), "h.json")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, False),
        ({"always": True}, True),
        ({"always": False}, False),
        ({"hasBindMounts": True}, True),
        ({"hasBindMounts": False}, False),
        ({"annotations": {"^io\\.example": "^y"}}, True),
        ({"annotations": {"^io\\.example": "^n"}}, False),
        ({"annotations": {"^io": "y", "^other$": ".*"}}, False),
        ({"commands": ["/sleep$"]}, True),
        ({"commands": ["/cat$", "sleep"]}, True),
        ({"commands": ["/cat$"]}, False),
        ({"always": True, "commands": ["/cat$"]}, False),
        ({"always": True, "hasBindMounts": True, "annotations": {"io": "yes"}}, True),
    ],
)
def test_conditions(when: dict[str, Any], expected: bool) -> None:
    assert parsed(when=when).matches("/bin/sleep", {"io.example.a": "yes"}, True) is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "0.9"},
        {"hook": {"path": "relative"}},
        {"hook": {"path": "/no/such/program"}},
        {"hook": {}},
        {"stages": ["never"]},
        {"when": {"commands": ["("]}},
        {"when": {"annotations": {"(": "x"}}},
        {"when": {"always": "yes"}},
    ],
)
def test_bad_files(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"h\.json"):
        parsed(**changes)


def test_directories_override_and_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    (first / "B.json").write_text(json.dumps(hook(hook={"path": "/bin/sh", "args": ["first"]})))
    (first / "a.json").write_text(json.dumps(hook(stages=["prestart", "createRuntime"])))
    (first / "broken.json").write_text("{")
    (first / "ignored.txt").write_text("{")
    (second / "B.json").write_text(json.dumps(hook(hook={"path": "/bin/sh", "args": ["second"], "timeout": 3})))
    directories = HookDirectories([str(first), str(second), str(tmp_path / "missing")])
    with caplog.at_level(logging.WARNING):
        spec: dict[str, Any] = {"process": {"args": ["x"]}}
        assert directories.inject(spec, {}, False) == ["a.json", "B.json"]
        directories.inject({"process": {"args": ["x"]}}, {}, False)
    assert len(caplog.records) == 1
    assert "broken.json" in caplog.text
    assert spec["hooks"] == {
        "createRuntime": [{"path": "/bin/sh"}],
        "poststop": [{"path": "/bin/sh", "args": ["second"], "timeout": 3}],
    }


def test_changes_are_seen(tmp_path: Path) -> None:
    directories = HookDirectories([str(tmp_path)])
    assert directories.hooks() == {}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(hook()))
    assert list(directories.hooks()) == ["x.json"]
    path.write_text(json.dumps(hook(stages=["poststart"])))
    os.utime(path, ns=(1, 1))
    assert directories.hooks()["x.json"].stages == ["poststart"]
    path.unlink()
    assert directories.hooks() == {}
