"""`cricket doctor` on this machine: with a daemon, after its death, and with what a lost record leaves behind."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from harness.node import Node

from cricket.cli.main import main

pytestmark = pytest.mark.root


def look(capsys: pytest.CaptureFixture[str], node: Node, *checks: str) -> dict[str, list[dict[str, Any]]]:
    """Findings by check. The doctor itself must never fail, whatever this machine is."""
    capsys.readouterr()
    code = main(["doctor", "--config", str(node.daemon.config_path), "-o", "json", *checks])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    assert code == any(f["severity"] == "error" for f in found)
    by_check: dict[str, list[dict[str, Any]]] = {}
    for finding in found:
        assert "check failed" not in finding["what"], finding
        by_check.setdefault(finding["check"], []).append(finding)
    return by_check


def worst(findings: list[dict[str, Any]]) -> set[str]:
    return {finding["severity"] for finding in findings}


@pytest.fixture(autouse=True)
def nobody_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration alone tells the socket."""
    monkeypatch.delenv("CONTAINER_RUNTIME_ENDPOINT", raising=False)
    monkeypatch.setenv("CRI_CONFIG_FILE", "/nonexistent")


@pytest.fixture
def clean() -> Any:
    """What trying things out could leave."""

    def traces() -> set[str]:
        runs = {f"/run/{name}" for name in os.listdir("/run") if name.startswith("cricket-doctor-")}
        return runs | {str(path) for path in Path("/tmp").glob("cricket-doctor-*")}

    yield
    assert not traces()


def test_a_node_that_works(pods: Node, capsys: pytest.CaptureFixture[str], clean: None) -> None:
    pods.run_pod()
    found = look(capsys, pods)
    for check in ("daemon", "ready", "config-files", "config-in-force", "state-left", "addresses-left", "conmon"):
        assert worst(found[check]) == {"ok"}, found[check]
    assert "(pid " in found["daemon"][0]["what"]
    assert "orphaned-pods" not in found and not any(f.get("unseen") for each in found.values() for f in each)
    assert any("makes containers here" in f["what"] for f in found["handlers"])


def test_a_daemon_that_was_killed(pods: Node, capsys: pytest.CaptureFixture[str], clean: None) -> None:
    pods.run_pod()
    pods.daemon.kill()
    before = sorted(os.listdir(pods.root))
    found = look(capsys, pods)
    assert found["daemon"][0]["severity"] == "warning" and "left over" in found["daemon"][0]["what"]
    (orphaned,) = found["orphaned-pods"]
    assert orphaned["what"].startswith("1 pod recorded") and str(pods.daemon.config_path) in orphaned["command"]
    assert worst(found["state-left"]) == {"ok"}
    # Handlers are tried anew, as nobody can be asked.
    assert any("makes containers here" in f["what"] for f in found["handlers"])
    assert sorted(os.listdir(pods.root)) == before  # reading the records has made no file beside them


def test_what_a_lost_record_leaves(pods: Node, capsys: pytest.CaptureFixture[str]) -> None:
    pod = pods.run_pod()
    pods.daemon.kill()
    kept = {path: path.read_bytes() for path in pods.root.glob("state.db*")}
    for path in kept:
        path.unlink()
    old = time.time() - 3600
    os.utime(pods.state / "sandboxes" / pod, (old, old))
    found = look(capsys, pods, "leftovers")
    for path, content in kept.items():
        path.write_bytes(content)
    assert "1 directory of no recorded pod (with " in found["state-left"][0]["what"]
    assert pod[:13] in found["state-left"][0]["what"]
    assert "addresses of " in found["addresses-left"][0]["what"]
    assert worst(found["interfaces-left"]) == {"info"}
