"""What a new user does first: `cricket run` of the example on a machine without daemon, network and images.

The machine is the one in the pictures of the documentation: mounts and network are of that process alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[3]


def test_the_example_on_a_fresh_machine(tmp_path: Path) -> None:
    before = set(Path("/sys/fs/cgroup").glob("*/cricketpods-run-*"))
    command = [sys.executable, "-m", "scripts.pictures", "--directory", str(tmp_path), "run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    root = ElementTree.fromstring((tmp_path / "run.svg").read_text())
    rows: dict[str, list[str]] = {}
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        rows.setdefault(text.attrib["y"], []).append(text.text or "")
    said = "\n".join(re.sub(r" +", " ", " ".join(row)) for row in rows.values())
    expected = [
        "cricket | no daemon is running: starting an engine for these pods alone",
        "cricket | no network is configured in /etc/cni/net.d: making one, on the bridge cricket0",
        "cricket | pulling docker.io/library/busybox:1.36",
        "write | the page is written",
        "server | listening on port 8080",
        "cricket | default/web is ready, port http at 10.",
        "(Ctrl-C stops it)",
        "response:200",
        "cricket | stopping, each container within its grace period",
        "cricket | stopped",
    ]
    assert [line for line in expected if line not in said] == [], said
    assert "Failed" not in said and "error" not in said
    assert set(Path("/sys/fs/cgroup").glob("*/cricketpods-run-*")) <= before, "cgroups were left"
