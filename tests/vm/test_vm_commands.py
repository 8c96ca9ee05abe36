"""The command line beside systemd: `doctor`, `top`, `stats`, and `run` without the service."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from harness.node import until
from vm_node import CGROUPS, SCOPES, VmNode, journal, systemctl, units

pytestmark = pytest.mark.root
JOB = """\
apiVersion: v1
kind: Pod
metadata: {{name: job}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: {image}
    imagePullPolicy: Never
    command: [sh, -c, "cat /sys/fs/cgroup/memory.max; exit 7"]
    resources: {{limits: {{memory: 24Mi}}}}
"""


def test_doctor_finds_no_error_on_a_sane_node(node: VmNode) -> None:
    began = time.monotonic()
    done = subprocess.run(["/usr/local/bin/cricket", "doctor", "-o", "json"], capture_output=True, text=True)
    lasted = time.monotonic() - began
    findings = json.loads(done.stdout)["findings"]
    assert [each for each in findings if each["severity"] == "error"] == []
    assert done.returncode == 0, done.stderr
    assert lasted < 40, "it takes a tenth of this where nothing is emulated"


def test_top_and_stats_show_what_pods_use(node: VmNode, image: str) -> None:
    pod = node.run_pod(node.pod("busy"))
    limit = {"memory_limit_in_bytes": 64 << 20, "cpu_quota": 30_000, "cpu_period": 100_000}
    container = node.run(pod, node.container(image, "sh", "-c", "while :; do :; done", resources=limit))
    shown = json.loads(node.cricket("top", "--once", "-o", "json"))
    (busy,) = [each for each in shown["pods"] if each["name"] == "busy"]
    assert busy["cpuPercent"] > 5, shown
    assert "busy" in node.cricket("top", "--once")
    stats = json.loads(node.cricket("stats", "-o", "json"))["stats"]
    assert [each["attributes"]["id"] for each in stats] == [container]


def test_run_without_the_service(node: VmNode, image: str, tmp_path: Path) -> None:
    """An engine of its own does it, with the same images and cgroups of the same systemd."""
    manifest = tmp_path / "job.yaml"
    manifest.write_text(JOB.format(image=image))
    systemctl("stop", "cricket")
    done = subprocess.run(["/usr/local/bin/cricket", "run", str(manifest)], capture_output=True, text=True)
    assert done.returncode == 7, done.stdout + done.stderr
    assert str(24 << 20) in done.stdout
    assert "Created slice cricketpods_run_" in journal("cricketpods_run_*")
    until(lambda: not units(SCOPES) + units("cricketpods*"), "units are left")
    assert not list(CGROUPS.glob("cricketpods*")) and not list(Path("/run").glob("cricket-run-*"))
    assert not list(Path("/run/systemd/system.control").glob("cricketpods*"))
