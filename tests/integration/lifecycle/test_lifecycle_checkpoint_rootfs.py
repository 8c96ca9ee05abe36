"""Changes of a root file system: what is found in one overlay gives the same tree in another."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.errors import CricketError, DataLoss, InvalidArgument
from cricket.kernel import mounts
from cricket.lifecycle.checkpoint_rootfs import Changes, apply_changes, find_changes, pack_changes
from cricket.types.mount import Mount

pytestmark = pytest.mark.root


class Overlay:
    """Two lower layers, a writable one, and the two views that `find_changes` compares."""

    def __init__(self, directory: Path, lowers: list[Path]) -> None:
        self.lowers = lowers
        self.upper, self.work = directory / "fs", directory / "work"
        self.merged, self.image = directory / "merged", directory / "image"
        for path in (self.upper, self.work, self.merged, self.image):
            path.mkdir(parents=True)

    def mount(self, *options: str) -> None:
        lowers = tuple(str(p) for p in self.lowers)
        writable = Mount("overlay", "overlay", options, lowers=lowers, upper=str(self.upper), work=str(self.work))
        mounts.perform(writable, str(self.merged))
        mounts.perform(Mount("overlay", "overlay", ("ro",), lowers=lowers), str(self.image))

    def unmount(self) -> None:
        for path in (self.merged, self.image):
            mounts.unmount(str(path))

    def changes(self, *skip: str) -> Changes:
        return find_changes(str(self.upper), str(self.merged), str(self.image), skip)

    def packed(self, changes: Changes) -> io.BytesIO:
        out = io.BytesIO()
        pack_changes(str(self.merged), changes.present, out)
        out.seek(0)
        return out

    def apply(self, diff: io.BytesIO | None, *deleted: str) -> None:
        apply_changes(str(self.upper), [str(p) for p in self.lowers], diff, deleted)


@pytest.fixture
def lowers(tmp_path: Path) -> list[Path]:
    """The image, top layer first."""
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    for directory in ("etc/conf.d", "usr/share/doc", "tmp", "opt/old/below", "srv/moved/inside", "home"):
        (bottom / directory).mkdir(parents=True)
        (bottom / directory / "file").write_text(directory)
    (bottom / "tmp").chmod(0o1777)
    (bottom / "link").symlink_to("/etc")
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "added").write_text("by the second layer")
    os.chown(top / "etc", 7, 8)
    return [top, bottom]


@pytest.fixture
def overlay(tmp_path: Path, lowers: list[Path]) -> Iterator[Overlay]:
    made = Overlay(tmp_path / "one", lowers)
    yield made
    made.unmount()


@pytest.fixture
def other(tmp_path: Path, lowers: list[Path]) -> Iterator[Overlay]:
    made = Overlay(tmp_path / "two", lowers)
    yield made
    made.unmount()


def tree(path: Path) -> dict[str, tuple[object, ...]]:
    """Everything about a tree but times of directories."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, below, files in os.walk(path):
        for name in [".", *below, *files]:
            full = os.path.join(directory, name)
            info = os.lstat(full)
            content: object = os.readlink(full) if os.path.islink(full) else None
            if os.path.isfile(full) and not os.path.islink(full):
                content = (Path(full).read_bytes(), info.st_mtime_ns, info.st_nlink)
            xattrs = {n: os.getxattr(full, n, follow_symlinks=False) for n in os.listxattr(full, follow_symlinks=False)}
            found[os.path.normpath(os.path.relpath(full, path))] = (
                info.st_mode,
                info.st_uid,
                info.st_gid,
                content,
                xattrs,
            )
    return found


CHANGE = """
echo changed >etc/conf.d/file; chmod 640 etc/conf.d/file; chown 5:6 etc/conf.d/file
rm etc/added; rm -r opt/old; mkdir opt/old; echo new >opt/old/new; mkdir opt/old/below
rm -r usr/share/doc; echo now-a-file >usr/share/doc
rm link; mkdir link; echo in-a-directory >link/file
mkdir -m 2750 fresh; ln -s /nowhere fresh/link; echo x >fresh/a; ln fresh/a fresh/b; mkfifo fresh/pipe
setfattr -n user.x -v y fresh/a 2>/dev/null || true
touch tmp/mine; rm home/file; chmod 700 home
printf 'odd' >"fresh/$(printf 'new\\nline')"
"""


def change(at: Path, script: str) -> None:
    subprocess.run(["sh", "-ec", script], cwd=at, check=True)


@pytest.mark.parametrize("redirect", ["redirect_dir=on", "redirect_dir=off"])
def test_the_copy_is_the_same(overlay: Overlay, other: Overlay, redirect: str) -> None:
    overlay.mount(redirect)
    change(overlay.merged, CHANGE + "mv srv/moved srv/elsewhere; echo more >srv/elsewhere/inside/more")
    os.mknod(overlay.merged / "fresh" / "null", 0o20666, os.makedev(1, 3))
    found = overlay.changes()
    assert "/etc/added" in found.deleted
    assert "/opt/old/below/file" in found.deleted and "/opt/old" not in found.deleted
    assert "/usr/share/doc/file" not in found.deleted
    assert "home" in found.present and "/home/file" in found.deleted
    other.apply(overlay.packed(found), *found.deleted)
    other.mount()
    assert tree(other.merged) == tree(overlay.merged)


def test_nothing_changed(overlay: Overlay) -> None:
    overlay.mount()
    assert overlay.changes() == Changes([], [])


def test_places_of_mounts_are_left_out(overlay: Overlay) -> None:
    overlay.mount()
    change(overlay.merged, "touch etc/hosts; mkdir -p dev/pts; touch etc/mine")
    assert overlay.changes("etc/hosts", "dev").present == ["etc", "etc/mine"]


def test_a_layer_with_whiteouts(overlay: Overlay) -> None:
    """containerd's rootfs-diff.tar is a gzipped layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in ("etc/.wh.added", "opt/.wh.old", "home/.wh..wh..opq", "home/new"):
            archive.addfile(tarfile.TarInfo(name))
    out.seek(0)
    overlay.apply(out)
    overlay.mount()
    assert not (overlay.merged / "etc" / "added").exists()
    assert not (overlay.merged / "opt" / "old").exists()
    assert os.listdir(overlay.merged / "home") == ["new"]
    # Directories that the archive only implies look as the image has them.
    assert (overlay.merged / "etc").stat().st_uid == 7
    assert (overlay.merged / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_top_directory_stays_as_it_was(overlay: Overlay) -> None:
    overlay.upper.chmod(0o711)
    os.chown(overlay.upper, 3, 4)
    overlay.apply(None, "/tmp/file")
    info = overlay.upper.stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o711, 3, 4)
    overlay.mount()
    assert not (overlay.merged / "tmp" / "file").exists()
    assert (overlay.merged / "tmp").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize("path", ["../../secret", "/../../secret", "a/../../../secret", "home/../../../secret"])
def test_deleted_files_outside_stay(overlay: Overlay, tmp_path: Path, path: str) -> None:
    for place in (tmp_path, tmp_path / "one"):
        (place / "secret").write_text("precious")
    overlay.apply(None, path)
    overlay.mount()
    assert (tmp_path / "secret").exists() and (tmp_path / "one" / "secret").exists()


@pytest.mark.parametrize("path", ["", "/", "..", "/.", "a\0b"])
def test_impossible_deleted_files(overlay: Overlay, path: str) -> None:
    with pytest.raises(InvalidArgument):
        overlay.apply(None, path)
    overlay.mount()


def test_deleted_files_behind_a_link_of_the_archive(overlay: Overlay, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("precious")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("trap")
        info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path / "victim")
        archive.addfile(info)
        info = tarfile.TarInfo("trap/written")
        archive.addfile(info)
    out.seek(0)
    try:
        overlay.apply(out, "/trap/file")
    except CricketError:
        pass  # refusing is as good
    overlay.mount()
    assert os.listdir(tmp_path / "victim") == ["file"]


def test_an_archive_that_hides_everything(overlay: Overlay) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(".wh..wh..opq"))
    out.seek(0)
    with pytest.raises(DataLoss):
        overlay.apply(out)
    overlay.mount()
