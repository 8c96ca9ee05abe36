"""Operations below a root: symlinks resolve inside of it, and removal copes with any depth."""

import errno
import os
import stat

import pytest

from cricket.kernel import confined


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("outside")
    top = tmp_path / "root"
    top.mkdir()
    (top / "dir").mkdir()
    (top / "dir" / "file").write_text("inside")
    return top


@pytest.fixture
def root_fd(root):
    fd = confined.open_root(str(root))
    yield fd
    os.close(fd)


@pytest.mark.parametrize("target", ["/dir/file", "dir/file", "../../dir/file", "/../dir/../dir/file"])
def test_symlinks_resolve_below_the_root(root, target):
    (root / "link").symlink_to(target)
    assert confined.read_in_root(str(root), "/link") == b"inside"
    assert confined.read_in_root(str(root), "link", limit=2) == b"in"


@pytest.mark.parametrize("path", ["../secret", "/../../secret", "up/secret", "magic/secret"])
def test_nothing_leads_out(root, path):
    (root / "up").symlink_to("..")
    (root / "magic").symlink_to("/proc/self/cwd")
    with pytest.raises(FileNotFoundError):
        confined.read_in_root(str(root), path)


def test_symlinks_can_be_forbidden(root, root_fd):
    (root / "link").symlink_to("dir")
    with pytest.raises(OSError) as caught:
        confined.open_in_root(root_fd, "link/file", os.O_RDONLY, symlinks=False)
    assert caught.value.errno == errno.ELOOP


def test_only_regular_files_are_read(root):
    os.mkfifo(root / "fifo")
    for path in ("fifo", "dir"):
        with pytest.raises(OSError):
            confined.read_in_root(str(root), path)


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a/b/c", "a/b/c"),
        ("/a//./b/", "a/b"),
        ("../../a", "a"),
        ("out/a", "a"),
        ("abs/x", "new/x"),
        ("dangling/y", "not/there/y"),
        ("dir/../z", "z"),
    ],
)
def test_make_dirs(root, root_fd, path, made):
    (root / "out").symlink_to("../../..")
    (root / "abs").symlink_to("/new")
    (root / "dangling").symlink_to("not/there")
    for _ in range(2):
        fd = confined.make_dirs(root_fd, path)
        assert os.path.samestat(os.fstat(fd), os.stat(root / made))
        os.close(fd)
    assert sorted(os.listdir(root.parent)) == ["root", "secret"]


@pytest.mark.parametrize("path", ["dir/file", "dir/file/x", "loop/x"])
def test_make_dirs_says_what_is_in_the_way(root, root_fd, path):
    (root / "loop").symlink_to("loop")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        confined.make_dirs(root_fd, path)
    assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP)
    assert len(os.listdir("/proc/self/fd")) == before


def test_remove_tree(root, tmp_path):
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "dirlink").symlink_to("/etc")
    os.mkfifo(root / "dir" / "fifo")
    os.mkdir(os.fsencode(root) + b"/\xff")
    (root / "empty").mkdir()
    for name in ("file", "link"):
        (root / "empty" / name).symlink_to("/etc/passwd")
    for _ in range(2):
        confined.remove_tree(str(root))
    assert os.listdir(tmp_path) == ["secret"]
    confined.remove_tree(str(tmp_path / "secret"))
    assert os.listdir(tmp_path) == []
    assert stat.S_ISREG(os.stat("/etc/passwd").st_mode)


def test_remove_tree_of_any_depth(root):
    fd = confined.open_root(str(root))
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    confined.remove_tree(str(root))
    assert not root.exists()


def test_remove_tree_with_many_directories(root):
    for i in range(300):
        (root / f"d{i}").mkdir()
        (root / f"d{i}" / "f").touch()
    confined.remove_tree(str(root))
    assert not root.exists()
