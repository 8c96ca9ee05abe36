"""`cricket cp` with containers that run."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from harness.containerd import ContainerdNode
from harness.node import Node

pytestmark = pytest.mark.root
Cricket = Any
_WAIT = ("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done")


@pytest.fixture(scope="module")
def box(node: Node, image: str) -> str:
    """A container that waits: POD/NAME."""
    config = node.pod("shop")
    node.run(node.run_pod(config), node.container(image, *_WAIT, name="web"), config)
    return "web"


@pytest.fixture(params=["tar", "node"])
def way(request: pytest.FixtureRequest, node: Node) -> tuple[str, ...]:
    if request.param == "node" and isinstance(node, ContainerdNode):
        pytest.skip("the node's ways are the same")
    return ("--node",) if request.param == "node" else ()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / ("n" * 150)).write_bytes(os.urandom(300_000))
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o750)
    os.link(top / "run.sh", top / "again")
    (top / "link").symlink_to("sub/none")
    os.utime(top / "run.sh", (1_000_000, 1_000_000))
    return top


def _seen(top: Path) -> dict[str, tuple[int, str | bytes]]:
    found: dict[str, tuple[int, str | bytes]] = {}
    for path in sorted(top.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(top))] = (path.lstat().st_mode, content)
    return found


def test_there_and_back(cricket: Cricket, box: str, way: tuple[str, ...], tree: Path, tmp_path: Path) -> None:
    target = f"/tmp/tree{len(way)}"
    cricket.ok("cp", *way, "tree", f"{box}:{target}")
    assert cricket.ok("exec", box, "stat", "-c", "%a %u %Y", f"{target}/run.sh") == "750 0 1000000\n"
    cricket.ok("cp", *way, f"{box}:{target}", "back")
    assert _seen(tmp_path / "back") == _seen(tree)
    assert (tmp_path / "back/run.sh").stat().st_nlink == 2
    # Into what exists: below it, or with /. its contents.
    cricket.ok("cp", *way, "tree", f"{box}:{target}")
    assert cricket.ok("exec", box, "ls", f"{target}/tree") == "again\nlink\nrun.sh\nsub\n"
    cricket.ok("cp", *way, f"{box}:{target}/sub/.", "back")
    assert (tmp_path / "back" / ("n" * 150)).exists()


def test_owners(cricket: Cricket, box: str, way: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    os.chown(tmp_path / "f", 12, 34)
    (tmp_path / "f").chmod(0o4755)
    for words, said in (((), "755 0 0\n"), (("-a",), "4755 12 34\n")):
        cricket.ok("cp", *way, *words, "f", f"{box}:/tmp/owned")
        assert cricket.ok("exec", box, "stat", "-c", "%a %u %g", "/tmp/owned") == said
    cricket.ok("cp", *way, "-a", f"{box}:/tmp/owned", "kept")
    cricket.ok("cp", *way, f"{box}:/tmp/owned", "mine")
    kept, mine = (tmp_path / "kept").stat(), (tmp_path / "mine").stat()
    assert (kept.st_uid, kept.st_gid, stat.S_IMODE(kept.st_mode)) == (12, 34, 0o4755)
    assert (mine.st_uid, mine.st_gid, stat.S_IMODE(mine.st_mode)) == (0, 0, 0o755)


def test_links(cricket: Cricket, box: str, way: tuple[str, ...], tmp_path: Path) -> None:
    script = (
        "mkdir -p /tmp/l/d; echo here > /tmp/l/d/f; ln -sfn d /tmp/l/dir; ln -sf d/f /tmp/l/file; ln -sfn / /tmp/l/top"
    )
    cricket.ok("exec", box, "sh", "-c", script)
    cricket.ok("cp", *way, f"{box}:/tmp/l/file", "as-link")
    cricket.ok("cp", *way, "-L", f"{box}:/tmp/l/file", "as-file")
    cricket.ok("cp", *way, f"{box}:/tmp/l/dir/.", "as-directory")
    assert os.readlink(tmp_path / "as-link") == "d/f"
    assert (tmp_path / "as-file").read_text() == "here\n" == (tmp_path / "as-directory/f").read_text()
    # A link to / is the container's, wherever one comes from.
    (tmp_path / "secret").write_text("of the container")
    cricket.ok("cp", *way, "secret", f"{box}:/tmp/l/top/tmp/l/dir/secret")
    assert cricket.ok("exec", box, "cat", "/tmp/l/d/secret") == "of the container"


def test_archives(cricket: Cricket, box: str, way: tuple[str, ...], tree: Path) -> None:
    out = cricket("cp", *way, f"{box}:/etc/passwd", "-")
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as archive:
        assert archive.getnames() == ["passwd"]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        archive.add(tree, "t")
    target = f"/tmp/in{len(way)}"
    cricket.ok("exec", box, "mkdir", "-p", target)
    cricket.ok("cp", *way, "-", f"{box}:{target}", input=made.getvalue())
    assert "run.sh" in cricket.ok("exec", box, "ls", f"{target}/t")


def test_errors(cricket: Cricket, box: str, way: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("")
    for words, code, said in (
        (("none:/x", "."), 3, "there is no such container"),
        ((f"{box}:/none", "."), 3, f"there is no such file or directory ({box}:/none)"),
        ((f"{box}:/no/ne", "."), 3, "there is no such file or directory"),
        (("none", f"{box}:/"), 3, "there is no such file or directory (none)"),
        (("f", f"{box}:/no/where/f"), 3, "there is no such directory"),
        (("f", f"{box}:/none/"), 3, "there is no such directory"),
        (("d", f"{box}:/etc/passwd"), 1, "a directory cannot replace a file"),
        ((f"{box}:/dev/null", "."), 1, "neither file nor directory"),
        (("f", "d"), 2, "both are paths of this host"),
        (("-", f"{box}:/etc/passwd"), 1, "a directory that exists"),
    ):
        done = cricket("cp", *way, *words)
        assert (done.returncode, said in done.stderr.decode()) == (code, True), (words, done.stderr)


def test_a_container_without_a_shell(cricket: Cricket, node: Node, image: str, tmp_path: Path) -> None:
    config = node.pod("bare")
    bare = node.run(node.run_pod(config), node.container(image, *_WAIT, name="bare"), config)
    cricket.ok("exec", bare, "rm", "/bin/tar", "/bin/sh")
    (tmp_path / "f").write_text("content")
    cricket.ok("cp", "f", f"{bare}:/tmp/f")
    cricket.ok("cp", "-c", "bare", "bare:/tmp/f", "g")
    assert (tmp_path / "g").read_text() == "content"
    os.chmod(node.socket, 0o666)
    done = cricket("cp", f"{bare}:/tmp/f", "h", user=65534, group=65534, extra_groups=[])
    assert done.returncode == 1 and b"as root on the container's node" in done.stderr
    node.cri.call("StopContainer", container_id=bare, timeout=0)
    done = cricket("cp", f"{bare}:/tmp/f", "h")
    assert done.returncode == 1 and b"not running" in done.stderr
