"""Copies: any tree of links, walked as a process in a chroot would see it; any archive, written nowhere but inside."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cricket.cli.copying.entries import from_tar
from cricket.cli.copying.tree import Leaving, Tree
from cricket.cli.copying.unpack import unpack
from cricket.errors import CricketError

names = st.sampled_from(["a", "b", "c"])
parts = st.sampled_from(["a", "b", "c", "..", ".", ""])
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)
links = st.tuples(st.booleans(), paths).map(lambda pair: ("/" if pair[0] else "") + pair[1] or ".")
places = st.lists(names, min_size=1, max_size=3).map("/".join)
trees = st.lists(st.tuples(places, st.sampled_from(["directory", "file", "link"]), links), max_size=10)


def _lay(root: Path, tree: list[tuple[str, str, str]]) -> dict[str, str]:
    """What could be made, without links in the way: path to "/" (directory), "" (file) or a link's text."""
    made = {"": "/"}
    for path, kind, to in tree:
        above = os.path.dirname(path)
        if made.get(above) != "/" or path in made:
            continue
        made[path] = {"directory": "/", "file": "", "link": f">{to}"}[kind]
        if kind == "directory":
            (root / path).mkdir()
        elif kind == "file":
            (root / path).write_text(path)
        else:
            (root / path).symlink_to(to)
    return made


def _model(made: dict[str, str], path: str, follow: bool, refuse: bool) -> str:
    """Where a path leads, or what is wrong with it, by the words of path_resolution(7)."""
    here: list[str] = []
    todo = [p for p in reversed(path.split("/")) if p not in ("", ".")]
    if refuse and path.startswith("/"):
        return "!leaving"
    count = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if refuse and not here:
                return "!leaving"
            here = here[:-1]
            continue
        found = made.get("/".join((*here, part)))
        if found is None:
            return "!missing" if todo else "/" + "/".join((*here, part))
        if found.startswith(">") and (follow or todo):
            count += 1
            if count > 40:
                return "!loop"
            if found.startswith(">/"):
                if refuse:
                    return "!leaving"
                here = []
            todo += [p for p in reversed(found[1:].split("/")) if p not in ("", ".")]
        elif todo and found != "/":
            return "!notdir"
        elif not todo:
            return "/" + "/".join((*here, part))
        else:
            here.append(part)
    return "/" + "/".join(here)


def _found(tree: Tree, path: str, follow: bool) -> str:
    try:
        with tree.find(path, follow=follow) as place:
            return place.path
    except Leaving:
        return "!leaving"
    except FileNotFoundError:
        return "!missing"
    except NotADirectoryError:
        return "!notdir"
    except OSError:
        return "!loop"


@settings(max_examples=150, deadline=None)
@given(trees, st.lists(links, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_paths_lead_where_they_should(
    tree: list[tuple[str, str, str]], asked: list[str], follow: bool, refuse: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = _lay(Path(directory), tree)
        with Tree.of(directory, refuse=refuse) as walked:
            for path in asked:
                assert _found(walked, path, follow) == _model(made, path, follow, refuse)


members = st.tuples(
    st.one_of(places, links),
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    links,
)


def _archive(wanted: list[tuple[str, bytes, str]]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, to in wanted:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            info.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"new"))
    stream.seek(0)
    return stream


@settings(max_examples=150, deadline=None)
@given(trees, st.lists(members, min_size=1, max_size=6), st.booleans())
def test_archives_write_inside_only(
    tree: list[tuple[str, str, str]], wanted: list[tuple[str, bytes, str]], refuse: bool
) -> None:
    directory = Path(tempfile.mkdtemp())
    try:
        # Names that links of the tree and the archive can lead to, all the way up.
        for level in ("", "x", "x/y", "x/y/z"):
            for name in ("a", "b", "c"):
                (directory / level).mkdir(exist_ok=True)
                (directory / level / name).write_text("outside")
        root = directory / "x/y/z/root"
        root.mkdir()
        _lay(root, tree)
        before = _outside(directory, root)
        with (
            tarfile.open(fileobj=_archive(wanted), mode="r|") as archive,
            Tree.of(str(root), refuse=refuse) as inside,
            contextlib.suppress(OSError, CricketError),
        ):
            unpack(inside, from_tar(archive), owners=False, skipped=lambda path: None)
        assert _outside(directory, root) == before
    finally:
        shutil.rmtree(directory)


def _outside(directory: Path, root: Path) -> list[tuple[str, int, int, str]]:
    found = []
    for path in sorted(directory.rglob("*")):
        if path != root and root not in path.parents:
            info = path.lstat()
            found.append((str(path), info.st_mode, info.st_nlink, path.read_text() if path.is_file() else ""))
    return found


def test_the_model_knows_entries() -> None:
    """The strategies can make what they are for: links that lead out."""
    assert _model({"": "/", "a": ">../.."}, "a/b", True, False) == "/b"
    assert _model({"": "/", "a": ">.."}, "a/b", True, True) == "!leaving"
