"""Checklist 35 and 36: logs."""

from __future__ import annotations

import datetime
import re
import shutil
from pathlib import Path

import pytest
from conformance_kit import FOREVER, STUBBORN, ConformanceNode, refused
from harness.node import until

pytestmark = pytest.mark.root
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9})(Z|[+-]\d\d:\d\d) (stdout|stderr) ([PF]) (.*)")
_COUNT = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"


def test_35_log_lines_have_the_cri_form(node: ConformanceNode, image: str, handler: str) -> None:
    script = "echo one; echo two >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; echo; printf end"
    container = node.run(node.run_pod(handler=handler), node.container(image, "sh", "-c", script))
    node.wait_exit(container)
    text = node.log_of(container)
    assert text.endswith("\n")
    lines = [_LINE.fullmatch(line) for line in text.splitlines()]
    assert all(lines), text[:500]
    parts = [(m[3], m[4], m[5]) for m in lines if m]
    assert parts[0] == ("stdout", "F", "one") or parts[1] == ("stdout", "F", "one")
    assert ("stderr", "F", "two") in parts
    out = [(tag, rest) for stream, tag, rest in parts if stream == "stdout"][1:]
    long = out[: next(i for i, (tag, _) in enumerate(out) if tag == "F") + 1]
    assert len(long) > 1 and "".join(rest for _, rest in long) == "x" * 40000
    assert out[len(long)] == ("F", "")
    assert "".join(rest for _, rest in out[len(long) + 1 :]) == "end"
    times = [datetime.datetime.fromisoformat(m[1][:26] + m[2].replace("Z", "+00:00")) for m in lines if m]
    assert times == sorted(times)


def test_35_the_log_file_exists_when_start_returns(node: ConformanceNode, image: str, handler: str) -> None:
    pod = node.run_pod(handler=handler)
    for i in range(3):
        container = node.run(pod, node.container(image, *FOREVER, name=f"c{i}"))
        assert Path(node.status(container).log_path).is_file()
    failed = node.create(pod, node.container(image, "/no/such", name="failed"))
    assert node.status(failed).log_path.endswith("failed_0.log")


def test_36_reopen_follows_a_rename(node: ConformanceNode, image: str, handler: str) -> None:
    container = node.run(node.run_pod(handler=handler), node.container(image, "sh", "-c", _COUNT))
    path = Path(node.status(container).log_path)
    until(lambda: "line 3\n" in path.read_text(), "nothing is logged")
    old = path.with_suffix(".old")
    path.rename(old)
    node.cri.call("ReopenContainerLog", container_id=container)
    assert path.is_file()
    size = old.stat().st_size
    until(lambda: path.read_text().count("\n") > 3, "nothing is logged to the new file")
    assert old.stat().st_size == size, "the old file still grows"
    numbers = [int(line.rsplit(" ", 1)[1]) for line in (old.read_text() + path.read_text()).splitlines()]
    assert numbers == list(range(1, len(numbers) + 1)), "lines are lost"


def test_36_reopen_works_while_the_container_is_stopping(node: ConformanceNode, image: str) -> None:
    container = node.run(node.run_pod(), node.container(image, *STUBBORN))
    until(lambda: "ready" in node.log_of(container), "the trap is not set")
    stopping = node.cri.start("StopContainer", container_id=container, timeout=30)
    path = Path(node.status(container).log_path)
    path.rename(path.with_suffix(".old"))
    node.cri.call("ReopenContainerLog", container_id=container, within=5)
    assert path.is_file() and not stopping.done()
    node.cri.call("StopContainer", container_id=container, timeout=0)
    stopping.result()


def test_36_an_error_creates_no_file(node: ConformanceNode, image: str) -> None:
    pod = node.run_pod()
    exited = node.run(pod, node.container(image, "true", name="exited"))
    node.wait_exit(exited)
    created = node.create(pod, node.container(image, *FOREVER, name="created"))
    for container in (exited, created):
        path = Path(node.status(container).log_path)
        path.unlink(missing_ok=True)
        with refused("FAILED_PRECONDITION"):
            node.cri.call("ReopenContainerLog", container_id=container)
        assert not path.exists()


def test_36_a_vanished_directory_is_an_error_and_stays_away(node: ConformanceNode, image: str) -> None:
    container = node.run(node.run_pod(), node.container(image, *FOREVER))
    directory = Path(node.status(container).log_path).parent
    shutil.rmtree(directory)
    with refused("FAILED_PRECONDITION"):
        node.cri.call("ReopenContainerLog", container_id=container)
    assert not directory.exists()
    # The monitor has survived it: the container's exit is still told.
    node.cri.call("StopContainer", container_id=container, timeout=0, within=3)
    assert node.status(container).exit_code == 137
