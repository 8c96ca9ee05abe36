"""User lookup in an image that is not trusted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci.users import MAX_ID, resolve_user
from cricket.types.container import UserIds
from cricket.types.security import ContainerSecurity, GroupsPolicy

PASSWD = """root:x:0:0:root:/root:/bin/sh
# comment:x:7:7
+nis::::::
broken
bad:x:abc:1::/:
huge:x:99999999999:1::/:
web:x:1000:1001::/home/web:/bin/sh
1234:x:4321:4322::/:
"""
GROUP = "root:x:0:\nweb:x:1001:\nextra:x:50000:web,other\nroots:x:7:root\nshort:x:8\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


def ids(root: Path, image: str = "", **security: Any) -> UserIds:
    return resolve_user(str(root), ContainerSecurity(**security), image)


@pytest.mark.parametrize(
    ("image", "security", "uid", "gid", "groups"),
    [
        ("", {}, 0, 0, (0, 7)),
        ("web", {}, 1000, 1001, (1001, 50000)),
        ("1000", {}, 1000, 1001, (1001, 50000)),
        ("1000:5", {}, 1000, 5, (5, 50000)),
        ("web:extra", {}, 1000, 50000, (50000,)),
        ("77", {}, 77, 0, (0,)),
        ("77:88", {}, 77, 88, (88,)),
        ("1234", {}, 4321, 4322, (4322,)),
        (":extra", {}, 0, 50000, (7, 50000)),
        ("web:extra", {"run_as_user": 0}, 0, 0, (0, 7)),
        ("0:0", {"run_as_user": 1000}, 1000, 1001, (1001, 50000)),
        ("", {"run_as_user": 1000, "run_as_group": 9}, 1000, 9, (9, 50000)),
        ("", {"run_as_username": "web"}, 1000, 1001, (1001, 50000)),
        ("", {"run_as_username": "1000"}, 1000, 1001, (1001, 50000)),
        ("web", {"run_as_username": "root", "run_as_group": 3}, 0, 3, (3, 7)),
        ("web", {"supplemental_groups": (5, 1001)}, 1000, 1001, (5, 1001, 50000)),
        ("web", {"supplemental_groups": (5,), "groups_policy": GroupsPolicy.STRICT}, 1000, 1001, (5, 1001)),
    ],
)
def test_who_it_is(root: Path, image: str, security: Any, uid: int, gid: int, groups: tuple[int, ...]) -> None:
    assert ids(root, image, **security) == UserIds(uid=uid, gid=gid, groups=groups)


@pytest.mark.parametrize(
    ("image", "security"),
    [
        ("", {"run_as_group": 5}),
        ("web", {"run_as_group": 5}),
        ("", {"run_as_user": 1, "run_as_username": "web"}),
        ("nobody", {}),
        ("web:nogroup", {}),
        ("bad", {}),
        ("huge", {}),
        ("", {"run_as_username": "nobody"}),
        ("", {"run_as_username": "777"}),
        ("", {"run_as_user": -1}),
        ("", {"run_as_user": MAX_ID + 1}),
        ("", {"run_as_user": 1, "run_as_group": 1 << 40}),
        ("", {"supplemental_groups": (-1,)}),
        ("99999999999999999999999", {}),
        ("1:99999999999999999999999", {}),
        ("٣", {}),
    ],
)
def test_who_it_cannot_be(root: Path, image: str, security: Any) -> None:
    with pytest.raises(InvalidArgument):
        ids(root, image, **security)


def test_without_files(tmp_path: Path) -> None:
    assert ids(tmp_path) == UserIds(groups=(0,))
    assert ids(tmp_path, "5:6") == UserIds(uid=5, gid=6, groups=(6,))
    (tmp_path / "etc").write_text("a file where a directory should be")
    assert ids(tmp_path, "5") == UserIds(uid=5, groups=(0,))


def test_symlinks_stay_inside(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "passwd"
    outside.write_text("web:x:0:0::/:\n")
    passwd = root / "etc/passwd"
    for target in (str(outside), "../../../../../../../../../../../" + str(outside)):
        passwd.unlink()
        passwd.symlink_to(target)
        with pytest.raises(InvalidArgument):
            ids(root, "web")
    (root / "real").mkdir()
    (root / "real/passwd").write_text(PASSWD)
    passwd.unlink()
    passwd.symlink_to("/../real/./passwd")
    assert ids(root, "web").uid == 1000


def test_loops_pipes_and_giants(root: Path) -> None:
    passwd = root / "etc/passwd"
    passwd.unlink()
    passwd.symlink_to("passwd")
    with pytest.raises(FailedPrecondition):
        ids(root, "web")
    passwd.unlink()
    os.mkfifo(passwd)
    with pytest.raises(InvalidArgument, match="regular"):
        ids(root, "web")
    passwd.unlink()
    with passwd.open("wb") as f:
        f.truncate(1 << 40)
    with pytest.raises(InvalidArgument, match="larger"):
        ids(root, "web")


def test_descriptors_are_closed(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert ids(root, "web").uid == 1000
    (root / "etc/group").unlink()
    assert ids(root, "web").groups == (1001,)
    assert len(os.listdir("/proc/self/fd")) == before
