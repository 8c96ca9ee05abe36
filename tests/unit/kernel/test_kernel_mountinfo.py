"""The mount table."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.errors import Internal, NotFound
from cricket.kernel.mountinfo import Propagation, mount_of, mounts, propagation_of

TABLE = """\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
28 27 0:21 / /a rw,relatime master:3 - tmpfs tmpfs rw
29 27 0:22 /sub /a/b\\040c\\134040 ro,nosuid shared:2 master:1 - ext4 /dev/x\\043 rw
30 27 0:23 / /ab rw - tmpfs tmpfs rw
31 27 0:24 / /u rw unbindable - tmpfs tmpfs rw
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    return str(path)


def test_all_of_an_entry(table: str) -> None:
    (entry,) = mounts("/a/", fstypes=("ext4",), path=table)
    assert (entry.id, entry.parent, entry.device, entry.root) == (29, 27, "0:22", "/sub")
    assert entry.point == "/a/b c\\040"
    assert entry.options == ("ro", "nosuid")
    assert entry.super_options == ("rw",)
    assert entry.source == "/dev/x#"
    assert entry.propagation is Propagation.SHARED


def test_only_what_is_asked_for(table: str) -> None:
    assert [entry.point for entry in mounts(path=table)] == ["/", "/a", "/a/b c\\040", "/ab", "/u"]
    assert [entry.point for entry in mounts("/a", path=table)] == ["/a", "/a/b c\\040"]
    assert [entry.propagation.value for entry in mounts(fstypes=("tmpfs",), path=table)] == [
        "slave",
        "private",
        "unbindable",
    ]


def test_the_mount_of_a_path(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    (tmp_path / "in").mkdir()
    (tmp_path / "inside").write_text("")
    (tmp_path / "link").symlink_to("in")
    line = f"40 27 0:9 / {tmp_path}/in rw shared:9 - tmpfs tmpfs rw\n"
    table.write_text(TABLE + line.replace("40 27", "39 27").replace("shared:9", "") + line)
    assert mount_of(str(tmp_path / "link"), path=str(table)).id == 40
    assert propagation_of(str(tmp_path / "in"), path=str(table)) is Propagation.SHARED
    assert mount_of(str(tmp_path / "inside"), path=str(table)).id == 27


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot resolve a path"):
        mount_of(str(tmp_path / "gone"))
    with pytest.raises(Internal, match="cannot read the mount table"):
        mounts(path=str(tmp_path / "gone"))


def test_this_machine() -> None:
    assert mount_of("/proc/self").fstype == "proc"
