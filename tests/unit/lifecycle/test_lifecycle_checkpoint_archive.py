"""Checkpoint archives: what is written can be read, and hostile ones do nothing but raise."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import CricketError, DataLoss, DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound
from cricket.lifecycle import checkpoint_read
from cricket.lifecycle.checkpoint_format import SpecMount, rfc3339
from cricket.lifecycle.checkpoint_read import KEPT_DIFF, KEPT_LOG, DirectoryArchive, TarArchive, read_documents, unpack
from cricket.lifecycle.checkpoint_write import check_location, write_archive

# As CRI-O and containerd write them (fields that they leave out or add are left out and added).
CRIO = {
    "id": "f" * 64,
    "name": "k8s_counter_pod_ns_uid_0",
    "rootfsImage": "docker.io/library/busybox:latest",
    "rootfsImageRef": "a" * 64,
    "rootfsImageName": "docker.io/library/busybox:latest",
    "runtime": "runc",
    "createdTime": "2024-05-01T10:00:00.123456789Z",
    "checkpointedTime": "2024-05-01T10:01:00.123456789+02:00",
    "restoredTime": "0001-01-01T00:00:00Z",
    "restored": False,
    "unknown": {"field": 1},
}
SPEC: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data/", "type": "bind", "source": "/srv/data", "options": ["rbind", "rw"]},
        {"destination": "/none", "source": "/srv", "options": ["bind"]},
    ],
}
FILES = {
    "config.dump": json.dumps(CRIO).encode(),
    "spec.dump": json.dumps(SPEC).encode(),
    "checkpoint/inventory.img": b"inventory",
    "checkpoint/pages-1.img": bytes(10_000),
    "rootfs-diff.tar": b"a tar",
    "deleted.files": b'["/etc/gone"]',
    "container.log": b"a line\n",
    "stats-dump": b"?",
}


def archive(path: Path, files: dict[str, bytes] = FILES, *extra: tarfile.TarInfo, prefix: str = "") -> TarArchive:
    """Write a tar with these files and empty members."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return TarArchive(str(path))


def member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    """A member without content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def target(tmp_path: Path) -> Path:
    """An empty directory."""
    path = tmp_path / "target"
    path.mkdir()
    return path


@pytest.mark.parametrize("prefix", ["", "./", "/", "../../"])
def test_reads_a_peers_archive(tmp_path: Path, prefix: str) -> None:
    source = archive(tmp_path / "c.tar", prefix=prefix)
    documents = read_documents(source)
    assert documents.config.rootfs_image_ref == "a" * 64
    assert [m.place for m in documents.spec.mounts or [] if m.is_bind] == ["/data", "/none"]
    into = target(tmp_path)
    found = unpack(source, str(into))
    assert found.deleted == ("/etc/gone",)
    assert sorted(os.listdir(into)) == sorted([KEPT_LOG, KEPT_DIFF, "inventory.img", "pages-1.img"])
    assert (into / "pages-1.img").read_bytes() == bytes(10_000)
    assert Path(found.diff).read_bytes() == b"a tar"
    assert Path(found.log).read_bytes() == b"a line\n"


def test_reads_a_compressed_archive(tmp_path: Path) -> None:
    archive(tmp_path / "c.tar")
    packed = tmp_path / "c.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "c.tar").read_bytes()))
    assert read_documents(TarArchive(str(packed))).config.name == CRIO["name"]


def test_reads_the_layer_of_an_image(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    for name, data in FILES.items():
        (layer / name).parent.mkdir(parents=True, exist_ok=True)
        (layer / name).write_bytes(data)
    (layer / "checkpoint" / "deeper").mkdir()
    source = DirectoryArchive(str(layer), "registry.example/checkpoint:1")
    assert read_documents(source).config.runtime == "runc"
    into = target(tmp_path)
    assert unpack(source, str(into)).deleted == ("/etc/gone",)
    assert (into / "inventory.img").read_bytes() == b"inventory"


@pytest.mark.parametrize("place", ["config.dump", "checkpoint/inventory.img", "checkpoint"])
def test_a_layer_with_links_leads_nowhere(tmp_path: Path, place: str) -> None:
    layer, secret = tmp_path / "layer", tmp_path / "secret"
    (layer / "checkpoint").mkdir(parents=True)
    secret.mkdir()
    for name in ("config.dump", "inventory.img"):
        (secret / name).write_bytes(FILES["config.dump"])
    for name in ("config.dump", "spec.dump", "checkpoint/inventory.img"):
        (layer / name).write_bytes(FILES[name])
    if place == "checkpoint":
        (layer / "checkpoint" / "inventory.img").unlink()
        (layer / "checkpoint").rmdir()
        (layer / "checkpoint").symlink_to(secret)
    else:
        (layer / place).unlink()
        (layer / place).symlink_to(secret / os.path.basename(place))
    source = DirectoryArchive(str(layer), "an image")
    with pytest.raises(DataLoss):
        read_documents(source)
        unpack(source, str(target(tmp_path)))


HOSTILE: dict[str, Callable[[Path], TarArchive]] = {
    "a link for config.dump": lambda p: archive(
        p, {k: v for k, v in FILES.items() if k != "config.dump"}, member("config.dump", tarfile.SYMTYPE, "/etc/passwd")
    ),
    "a link among the images": lambda p: archive(p, FILES, member("checkpoint/parent", tarfile.SYMTYPE, "/etc")),
    "a hard link": lambda p: archive(p, FILES, member("checkpoint/x.img", tarfile.LNKTYPE, "/etc/passwd")),
    "a device": lambda p: archive(p, FILES, member("checkpoint/x.img", tarfile.CHRTYPE)),
    "a pipe for the diff": lambda p: archive(
        p, {k: v for k, v in FILES.items() if k != "rootfs-diff.tar"}, member("rootfs-diff.tar", tarfile.FIFOTYPE)
    ),
    "an image twice": lambda p: archive(p, FILES, member("./checkpoint/inventory.img", tarfile.REGTYPE)),
    "a log twice": lambda p: archive(p, FILES, member("io.kubernetes.cri-o.LogPath", tarfile.REGTYPE)),
    "our own name": lambda p: archive(p, FILES | {"checkpoint/.rootfs-diff": b"x"}),
    "deleted.files is no list": lambda p: archive(p, FILES | {"deleted.files": b'{"a": 1}'}),
    "no images": lambda p: archive(p, {k: v for k, v in FILES.items() if not k.startswith("checkpoint/")}),
    "config.dump is no JSON": lambda p: archive(p, FILES | {"config.dump": b"[" * 100_000}),
    "config.dump has no id": lambda p: archive(p, FILES | {"config.dump": b"{}"}),
    "mounts are words": lambda p: archive(p, FILES | {"spec.dump": b'{"mounts": ["x"]}'}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archives_are_refused(tmp_path: Path, what: str) -> None:
    source = HOSTILE[what](tmp_path / "c.tar")
    with pytest.raises(DataLoss) as error:
        read_documents(source)
        unpack(source, str(target(tmp_path)))
    assert "c.tar" in str(error.value) or "offset" in str(error.value)
    inside = {tmp_path / "c.tar", tmp_path / "target"}
    assert set(tmp_path.iterdir()) <= inside


def test_names_that_climb_stay_inside(tmp_path: Path) -> None:
    extra = {"checkpoint/../../escaped": b"x", "checkpoint/../checkpoint/ok.img": b"x", "../checkpoint/up.img": b"x"}
    into = target(tmp_path)
    unpack(archive(tmp_path / "c.tar", FILES | extra), str(into))
    assert {"ok.img", "up.img"} <= set(os.listdir(into))
    assert not list(tmp_path.rglob("escaped"))


def test_documents_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.lifecycle.checkpoint_format.DOCUMENT_LIMIT", 100)
    with pytest.raises(DataLoss, match="100 bytes"):
        read_documents(archive(tmp_path / "c.tar"))


def test_images_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_read, "_IMAGES_MAX", 1)
    with pytest.raises(DataLoss, match="does not write"):
        unpack(archive(tmp_path / "c.tar"), str(target(tmp_path)))


@pytest.mark.parametrize("size", [0, 1, 511, 600, 1500, 9000])
def test_a_cut_archive_is_told(tmp_path: Path, size: int) -> None:
    archive(tmp_path / "whole.tar")
    cut = tmp_path / "c.tar"
    cut.write_bytes((tmp_path / "whole.tar").read_bytes()[:size])
    with pytest.raises((DataLoss, InvalidArgument)):
        read_documents(TarArchive(str(cut)))
        unpack(TarArchive(str(cut)), str(target(tmp_path)))


def test_what_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("no archive, but rather long " * 100)
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    expected: dict[str, type[CricketError]] = {
        "missing": NotFound,
        "pipe": InvalidArgument,
        ".": InvalidArgument,
        "text": DataLoss,
        "other.tar": InvalidArgument,
    }
    for name, kind in expected.items():
        with pytest.raises(kind):
            read_documents(TarArchive(str(tmp_path / name)))


def members(tmp_path: Path) -> Path:
    """A directory with what an archive is made of."""
    directory = tmp_path / "members"
    for name, data in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory


def test_written_archives_can_be_read(tmp_path: Path) -> None:
    location = tmp_path / "out" / "c.tar"
    location.parent.mkdir()
    location.write_text("an older one, longer " * 10_000)
    write_archive(str(members(tmp_path)), str(location), time.monotonic() + 60)
    assert location.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(location.parent) == ["c.tar"]
    with tarfile.open(location) as tar:
        names = tar.getnames()
        assert {info.uid for info in tar} == {0}
    assert names[:2] == ["config.dump", "spec.dump"]
    assert read_documents(TarArchive(str(location))).config.id == CRIO["id"]
    assert unpack(TarArchive(str(location)), str(target(tmp_path))).deleted == ("/etc/gone",)


def test_an_archive_is_whole_or_absent(tmp_path: Path) -> None:
    location = tmp_path / "out" / "c.tar"
    location.parent.mkdir()
    with pytest.raises(DeadlineExceeded):
        write_archive(str(members(tmp_path)), str(location), time.monotonic() - 1)
    assert os.listdir(location.parent) == []


def test_locations(tmp_path: Path) -> None:
    check_location(str(tmp_path / "new.tar"))
    (tmp_path / "old.tar").touch()
    check_location(str(tmp_path / "old.tar"))
    (tmp_path / "link").symlink_to("/dev/null")
    for place in (tmp_path, tmp_path / "link", "/dev/null", "relative.tar", f"{tmp_path}/", f"{tmp_path}/a\0b"):
        with pytest.raises(InvalidArgument):
            check_location(str(place) if isinstance(place, Path) else place)
    with pytest.raises(FailedPrecondition, match="does not exist"):
        check_location(str(tmp_path / "nowhere" / "c.tar"))


def test_small_values() -> None:
    assert rfc3339(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
    assert SpecMount("//a//b/../c/").place == "/a/c"
    assert not SpecMount("/proc", "proc").is_bind
