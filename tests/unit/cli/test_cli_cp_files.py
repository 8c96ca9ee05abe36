"""Trees, packing and unpacking of copies: nothing outside is read or written."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.cli.copying.entries import Entry, disowned, from_tar, renamed, to_tar
from cricket.cli.copying.pack import pack
from cricket.cli.copying.tree import Leaving, Tree
from cricket.cli.copying.unpack import unpack
from cricket.errors import CricketError, FailedPrecondition, Internal, PermissionDenied


def none(path: str) -> None:
    raise AssertionError(path)


def file(name: str, data: bytes = b"new", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return Entry(info, io.BytesIO(data))


def directory(name: str, mode: int = 0o755) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return Entry(info)


def link(name: str, to: str, *, hard: bool = False) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, to
    return Entry(info)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Path]:
    """A root with a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root").mkdir()
    before = os.listdir("/proc/self/fd")
    yield tmp_path / "root"
    assert os.listdir("/proc/self/fd") == before
    assert (tmp_path / "secret").read_text() == "secret"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root", "secret"]


@pytest.mark.parametrize(
    ("made", "to", "path", "leads"),
    [
        ("l", "/etc", "l/x", "/etc/x"),
        ("l", "../../../..", "l/etc/x", "/etc/x"),
        ("l", "/../etc/./", "l/x", "/etc/x"),
        ("l", "etc/../etc", "l/x", "/etc/x"),
        ("l", "/", "l/../../etc/x", "/etc/x"),
        ("l", "none", "l", "/none"),
        ("etc/l", "..", "etc/l/etc/x", "/etc/x"),
        ("etc/l", "x", "/etc/l", "/etc/x"),
    ],
)
def test_links_stay_inside(box: Path, made: str, to: str, path: str, leads: str) -> None:
    (box / "etc").mkdir()
    (box / "etc/x").write_text("inside")
    (box / made).symlink_to(to)
    with Tree.of(str(box)) as tree, tree.find(path) as place:
        assert place.path == leads
        assert (place.fd >= 0) == (leads == "/etc/x")


def test_loops_and_ways_through_files(box: Path) -> None:
    (box / "a").symlink_to("b")
    (box / "b").symlink_to("a")
    (box / "f").write_text("")
    with Tree.of(str(box)) as tree:
        for path, kind in (("a", OSError), ("a/x", OSError), ("f/x", NotADirectoryError), ("n/x", FileNotFoundError)):
            with pytest.raises(kind):
                tree.find(path)
        with tree.find("a", follow=False) as place:
            assert stat.S_ISLNK(place.mode)


@pytest.mark.parametrize("path", ["../secret", "abs/secret", "up/secret", "in/../../secret"])
def test_a_tree_can_refuse_to_be_left(box: Path, path: str) -> None:
    (box / "in").mkdir()
    (box / "abs").symlink_to(str(box.parent))
    (box / "up").symlink_to("in/../..")
    (box / "fine").symlink_to("in/../in")
    with Tree.of(str(box), refuse=True) as tree:
        with pytest.raises(Leaving):
            tree.find(path)
        tree.find("fine").close()


def test_magic_links_are_text(box: Path) -> None:
    with Tree.of("/proc/self") as tree:
        fd = os.open(box, os.O_RDONLY)
        try:
            with pytest.raises(FileNotFoundError):
                tree.find(f"fd/{fd}/secret")
        finally:
            os.close(fd)


def test_somebody_swaps_directories_for_links(box: Path) -> None:
    """Whoever is inside may rename at any moment: never what is outside, sometimes an error."""
    (box / "d").mkdir()
    (box / "d/secret").write_text("inside")
    (box / "s").mkdir()
    (box / "w").symlink_to("s")
    stop = threading.Event()

    outside = "../../../../.." + str(box.parent)

    def swap() -> None:
        while not stop.is_set():
            os.rename(box / "d", box / "t")
            os.symlink(outside, box / "d")
            os.unlink(box / "d")
            os.rename(box / "t", box / "d")
            for to in (outside, "s"):
                os.symlink(to, box / "l")
                os.replace(box / "l", box / "w")

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[str] = set()
    try:
        with Tree.of(str(box)) as tree:
            for _ in range(2000):
                try:
                    for entry in pack(tree, "d/secret", follow=True, skipped=none):
                        seen.add(entry.data.read().decode() if entry.data else "")
                except OSError:
                    seen.add("error")
                with Tree.of(str(box)) as inside:
                    try:
                        unpack(inside, [file("w/new")], owners=False, skipped=none)
                    except (OSError, CricketError):
                        seen.add("error")
    finally:
        stop.set()
        thread.join()
    assert "inside" in seen and "secret" not in seen


def test_round_trip_through_tar(box: Path) -> None:
    source, target = box / "s", box / "t"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / ("n" * 200)).write_bytes(os.urandom(70_000))
    (source / "bad\udcff\nname").write_text("x")
    os.link(source / "bad\udcff\nname", source / "hard")
    (source / "deep/l").symlink_to("../" + "far/" * 40)
    os.chmod(source / "deep", 0o500)
    os.utime(source / "hard", (1, 1))
    target.mkdir()
    stream = io.BytesIO()
    with Tree.of(str(box)) as tree, tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        to_tar(archive, renamed(pack(tree, "s", follow=False, skipped=none), "s"))
    stream.seek(0)
    with Tree.of(str(target)) as tree, tarfile.open(fileobj=stream, mode="r|") as archive:
        unpack(tree, renamed(from_tar(archive, "s"), "copy"), owners=False, skipped=none)
    assert _listing(target / "copy") == _listing(source)
    os.chmod(source / "deep", 0o700)
    os.chmod(target / "copy/deep", 0o700)


def _listing(top: Path) -> list[object]:
    found: list[object] = []
    for path in sorted(top.rglob("*")):
        info = path.lstat()
        content: object = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        moment = 0 if path.is_symlink() else int(info.st_mtime)
        found.append((path.relative_to(top), info.st_mode, info.st_nlink * path.is_file(), moment, content))
    return found


def test_special_files_are_told(box: Path) -> None:
    os.mkfifo(box / "pipe")
    told: list[str] = []
    with Tree.of(str(box)) as tree:
        assert [e.info.name for e in pack(tree, "/", follow=False, skipped=told.append)] == [""]
    assert told == ["/pipe"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/..", "a\0b"])
def test_archives_with_ways_out(name: str) -> None:
    info = tarfile.TarInfo("x")
    info.name = name
    with pytest.raises(PermissionDenied):
        list(from_tar([info]))  # type: ignore[arg-type]  # what iterating an archive gives


def test_an_archive_that_ends_early(box: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        to_tar(archive, [file("a", b"x" * 5000)])
    cut = io.BytesIO(stream.getvalue()[:3000])
    with (
        Tree.of(str(box)) as tree,
        pytest.raises((Internal, tarfile.ReadError)),
        tarfile.open(fileobj=cut, mode="r|", bufsize=512) as archive,
    ):
        unpack(tree, from_tar(archive), owners=False, skipped=none)
    assert not list(box.iterdir())


@pytest.mark.parametrize(
    "entries",
    [
        [link("l", ".."), file("l/secret")],
        [link("l", "/"), file("l/tmp/secret")],
        [link("l", "../secret"), link("h", "l/../secret", hard=True)],
        [directory("d"), link("d/l", "../.."), file("d/l/secret")],
        [link("a", "b"), link("b", ".."), file("a/secret")],
        [link("a", ".."), directory("a/new")],
    ],
)
def test_archives_that_lay_links(box: Path, entries: list[Entry]) -> None:
    with Tree.of(str(box), refuse=True) as tree, pytest.raises(Leaving):
        unpack(tree, entries, owners=False, skipped=none)


def test_a_link_at_the_end_is_replaced(box: Path) -> None:
    (box / "l").symlink_to("../secret")
    with Tree.of(str(box), refuse=True) as tree:
        unpack(tree, [file("l")], owners=False, skipped=none)
    assert not (box / "l").is_symlink() and (box / "l").read_text() == "new"


def test_a_hard_link_is_not_written_through(box: Path) -> None:
    (box / "f").write_text("old")
    with Tree.of(str(box), refuse=True) as tree:
        unpack(tree, [link("g", "f", hard=True), file("g")], owners=False, skipped=none)
    assert (box / "f").read_text() == "old" and (box / "g").read_text() == "new"


def test_files_and_directories_in_each_others_way(box: Path) -> None:
    (box / "f").write_text("")
    (box / "d").mkdir()
    with Tree.of(str(box), refuse=True) as tree:
        for entry in (directory("f"), file("d"), link("d", "x")):
            with pytest.raises(FailedPrecondition):
                unpack(tree, [entry], owners=False, skipped=none)
    assert sorted(p.name for p in box.iterdir()) == ["d", "f"]


def test_modes(box: Path) -> None:
    entries = [directory("d", 0o1555), file("d/f", mode=0o6755), file("e/f", mode=0o604)]
    with Tree.of(str(box)) as tree:
        unpack(tree, entries, owners=False, skipped=none)
    modes = [stat.S_IMODE((box / name).stat().st_mode) for name in ("d", "d/f", "e/f")]
    assert modes == [0o1555, 0o755, 0o604]
    suid = file("x", mode=0o6755)
    suid.info.uid = 7
    (kept,) = disowned([suid])
    assert (kept.info.uid, kept.info.mode) == (0, 0o755)
    os.chmod(box / "d", 0o755)


def test_a_file_that_shrinks(box: Path) -> None:
    entry = file("f", b"short")
    entry.info.size = 100
    with Tree.of(str(box)) as tree, pytest.raises(OSError, match="shorter"):
        unpack(tree, [entry], owners=False, skipped=none)
    assert not list(box.iterdir())
