"""Files that are whole or absent, and removal that forgives."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cricket.errors import Internal
from cricket.kernel import files


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_whole_and_leaves_no_other(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old" * 1000)
    files.atomic_write(str(path), b"new", mode=0o600, durable=durable)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*args: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(Internal, match=str(path)):
        files.atomic_write(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_directory_is_told_with_its_path(tmp_path: Path) -> None:
    path = f"{tmp_path}/nosuch/file"
    with pytest.raises(Internal, match=path):
        files.atomic_write(path, b"")


def test_everything_is_synced_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def see_fsync(fd: int) -> None:
        steps.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def see_rename(a: str, b: str) -> None:
        steps.append("rename")
        rename(a, b)

    monkeypatch.setattr(os, "fsync", see_fsync)
    monkeypatch.setattr(os, "rename", see_rename)
    files.atomic_write(str(tmp_path / "file"), b"data")
    assert steps == ["file", "rename", "directory"]


def test_removing_forgives_what_is_gone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "link").symlink_to("/nosuch")
    (tmp_path / "file").touch()
    for _ in range(2):
        files.remove_file(str(tmp_path / "file"))
        files.remove_tree(str(tree))
    assert os.listdir(tmp_path) == []


def test_a_tree_is_never_left_through_a_symlink(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    files.remove_tree(str(tree))
    assert (outside / "precious").exists()


def test_directories_are_made_with_parents_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    files.make_dir(str(path), 0o711)
    (path / "file").touch()
    files.make_dir(str(path), 0o700)
    assert stat.S_IMODE(path.stat().st_mode) == 0o711
    with pytest.raises(Internal, match="file"):
        files.make_dir(str(path / "file" / "below"))
