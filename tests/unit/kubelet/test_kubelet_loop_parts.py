"""Back-off, probes' thresholds, the health protocol, image garbage, log rotation, sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.kubelet import backoff, probe_grpc
from cricket.kubelet.gc_containers import prune
from cricket.kubelet.gc_images import Unused, victims
from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.model.probe import Probe
from cricket.kubelet.probe_state import first, step
from cricket.kubelet.source import FileSource


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (0.5, "500ms")])
def test_waits_in_words(seconds: float, text: str) -> None:
    assert backoff.words(int(seconds * SECOND)) == text


def test_probe_thresholds() -> None:
    probe, run = Probe(failure_threshold=3, success_threshold=2), first("readiness")
    seen = []
    for result in (True, True, False, False, True, False, False, False):
        run = step(run, result, probe)
        seen.append(run.good)
    assert seen == [False, True, True, True, True, True, True, False]
    assert first("liveness").good and not first("startup").good


def test_health_messages() -> None:
    assert probe_grpc.encode("") == b"" and probe_grpc.encode("a.b") == b"\x0a\x03a.b"
    assert probe_grpc.decode(b"\x08\x01") == 1 and probe_grpc.decode(b"") == 0
    assert probe_grpc.decode(b"\x12\x02xy\x08\x02") == 2
    for bad in (b"\x08", b"\x0b", b"\xff" * 12):
        with pytest.raises(ValueError, match="message"):
            probe_grpc.decode(bad)


def test_image_garbage() -> None:
    images = [Unused("old", 10, 0, 5), Unused("older", 10, 0, 1), Unused("new", 10, 990, 0)]
    assert victims(images, 1000, free=0, min_age=60, unused_age=0) == []
    assert victims(images, 1000, free=5, min_age=60, unused_age=0) == ["older"]
    assert victims(images, 1000, free=100, min_age=60, unused_age=0) == ["older", "old"]
    assert victims(images, 1000, free=0, min_age=60, unused_age=997) == ["older"]


def test_log_files(tmp_path: Path) -> None:
    (tmp_path / "0.log").write_text("now")
    for number in range(6):
        (tmp_path / f"0.log.2026010{number}").write_text("x")
    prune(str(tmp_path / "0.log"), 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0.log",
        "0.log.20260103.gz",
        "0.log.20260104.gz",
        "0.log.20260105.gz",
    ]


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: i}]}\n"


def test_folder(tmp_path: Path) -> None:
    told: list[Desired] = []
    source = FileSource(str(tmp_path), "node")

    def names() -> list[str]:
        source.scan()
        told[:] = [desired for _, desired in source._loaded.values()]
        return sorted(pod.metadata.name for desired in told for pod in desired.pods)

    assert names() == []
    (tmp_path / "a.yaml").write_text(POD.replace("NAME", "a"))
    (tmp_path / ".hidden.yaml").write_text(POD.replace("NAME", "h"))
    (tmp_path / "notes.txt").write_text("no manifest")
    assert names() == ["a-node"] or names() == ["a"]
    (tmp_path / "a.yaml").write_text("kind: [")
    assert len(names()) == 1 and told[0].errors, "a manifest that broke keeps its pod"
    (tmp_path / "a.yaml").unlink()
    assert names() == []
