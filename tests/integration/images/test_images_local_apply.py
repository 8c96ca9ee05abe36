"""Unpacking as root: everything that a layer can hold, and nothing outside of it."""

import gzip
import hashlib
import io
import os
import stat
import subprocess
import tarfile

import pytest
import zstandard

from cricket.errors import CricketError, DataLoss
from cricket.images.layers import apply_layer

pytestmark = pytest.mark.root


def member(name, data=None, **attributes):
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    if data is not None:
        info.size = len(data)
    return info, data


def directory(name, **attributes):
    return member(name, type=tarfile.DIRTYPE, mode=attributes.pop("mode", 0o755), **attributes)


def symlink(name, target):
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def hardlink(name, target):
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for info, data in members:
            t.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


@pytest.fixture
def place(tmp_path):
    """A target inside a directory that must not change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("untouched")
    target = tmp_path / "outside" / "fs"
    target.mkdir()
    yield target
    assert sorted(os.listdir(tmp_path)) == ["outside"]
    assert sorted(os.listdir(tmp_path / "outside")) == ["fs", "secret"]
    assert (tmp_path / "outside" / "secret").read_text() == "untouched"
    assert (tmp_path / "outside" / "secret").stat().st_nlink == 1


def apply(place, *members):
    return apply_layer(io.BytesIO(archive(*members)), str(place))


def test_everything_is_kept(place):
    result = apply(
        place,
        directory("./", mode=0o711, mtime=3),
        directory("d", mode=0o3775, uid=5, gid=6, mtime=1000, pax_headers={"SCHILY.xattr.user.d": "1"}),
        member("d/f", b"hello", mode=0o6755, uid=7, gid=8, pax_headers={"mtime": "12.345678901"}),
        member("caps", b"x", pax_headers={"SCHILY.xattr.user.a": "b=c\nd"}),
        symlink("s", "/nowhere"),
        hardlink("h", "d/f"),
        member("c", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666, uid=1),
        member("b", type=tarfile.BLKTYPE, devmajor=7, devminor=9, mode=0o660),
        member("p", type=tarfile.FIFOTYPE, mode=0o622, mtime=77),
    )
    assert (stat.S_IMODE(place.stat().st_mode), int(place.stat().st_mtime)) == (0o711, 3)
    d = (place / "d").stat()
    assert (stat.S_IMODE(d.st_mode), d.st_uid, d.st_gid, int(d.st_mtime)) == (0o3775, 5, 6, 1000)
    assert os.getxattr(place / "d", "user.d") == b"1"
    f = (place / "d/f").stat()
    assert (stat.S_IMODE(f.st_mode), f.st_uid, f.st_gid, f.st_mtime_ns) == (0o6755, 7, 8, 12345678901)
    assert (place / "d/f").read_text() == "hello"
    assert os.getxattr(place / "caps", "user.a") == b"b=c\nd"
    assert os.readlink(place / "s") == "/nowhere"
    assert (place / "h").stat().st_ino == f.st_ino
    c = (place / "c").stat()
    assert (stat.S_ISCHR(c.st_mode), stat.S_IMODE(c.st_mode), c.st_uid) == (True, 0o666, 1)
    assert (os.major(c.st_rdev), os.minor(c.st_rdev)) == (1, 3)
    assert stat.S_ISBLK((place / "b").stat().st_mode)
    assert stat.S_ISFIFO((place / "p").stat().st_mode) and int((place / "p").stat().st_mtime) == 77
    assert result.inodes == 7
    assert result.implied == ()


def test_file_capabilities_survive_chown(place):
    value = bytes.fromhex("0100000200040000000000000000000000000000")
    info, data = member("ping", b"x", uid=3, pax_headers={"SCHILY.xattr.security.capability": value.decode("latin-1")})
    apply(place, (info, data))
    assert os.getxattr(place / "ping", "security.capability")[:8] == value[:8]


@pytest.mark.parametrize(
    "compress",
    [
        lambda d: d,
        gzip.compress,
        lambda d: gzip.compress(d[:1000]) + gzip.compress(d[1000:]),
        zstandard.ZstdCompressor().compress,
        lambda d: zstandard.ZstdCompressor().compress(d[:1000]) + zstandard.ZstdCompressor().compress(d[1000:]),
        lambda d: b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstandard.ZstdCompressor().compress(d),
        lambda d: __import__("lzma").compress(d),
        lambda d: __import__("bz2").compress(d),
    ],
    ids=["none", "gzip", "gzip members", "zstd", "zstd frames", "zstd skippable", "xz", "bzip2"],
)
def test_compressions(place, compress):
    data = archive(member("f", os.urandom(5000)), member("g", b"1"))
    result = apply_layer(io.BytesIO(compress(data)), str(place))
    assert result.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert (place / "g").read_bytes() == b"1"


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress, lambda d: d])
@pytest.mark.parametrize("keep", [1, 20, 0.5, -600])
def test_truncation_is_data_loss(place, compress, keep):
    data = compress(archive(*(member(f"f{i}", os.urandom(3000)) for i in range(20))))
    cut = int(len(data) * keep) if isinstance(keep, float) else len(data) - 11000 if keep == -600 else keep
    with pytest.raises(DataLoss):
        apply_layer(io.BytesIO(data[:cut]), str(place))


def test_corruption_is_data_loss(place):
    data = bytearray(gzip.compress(archive(member("f", os.urandom(50000)))))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(DataLoss):
        apply_layer(io.BytesIO(bytes(data)), str(place))


def test_whiteouts_and_opaque_directories(place):
    result = apply(
        place, directory("d"), member("d/.wh.gone", b""), member("e/.wh..wh..opq", b""), member(".wh..wh.plnk", b"")
    )
    gone = os.lstat(place / "d/gone")
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.getxattr(place / "e", "trusted.overlay.opaque") == b"y"
    assert sorted(os.listdir(place)) == ["d", "e"]
    assert result.implied == (b"", b"e")


def test_an_opaque_top_is_reported(place):
    assert apply(place, member(".wh..wh..opq", b"")).opaque_root


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_name_both_deleted_and_added_is_new(place, order):
    members = [member(".wh.x", b""), directory("x"), member("x/f", b"1")]
    if order == (1, 0, 2):
        order = (1, 2, 0)
    apply(place, *(members[i] for i in order))
    assert (place / "x/f").read_bytes() == b"1"
    assert os.getxattr(place / "x", "trusted.overlay.opaque") == b"y"


def test_a_file_both_deleted_and_added_is_new(place):
    apply(place, member(".wh.x", b""), member("x", b"1"))
    assert (place / "x").read_bytes() == b"1"


def test_later_entries_replace_earlier_ones(place):
    result = apply(
        place,
        member("a", b"file"),
        directory("a"),
        member("a/b", b"1"),
        member("b", b"old"),
        hardlink("c", "b"),
        member("b", b"new"),
        directory("d/e"),
        member("d/e/f", b"1"),
        symlink("d", "a"),
        hardlink("b", "b"),
    )
    assert (place / "a/b").read_bytes() == b"1"
    assert ((place / "b").read_bytes(), (place / "c").read_bytes()) == (b"new", b"old")
    assert os.readlink(place / "d") == "a"
    assert result.inodes == 5


def test_symlinked_directories_are_followed_inside(place):
    apply(place, directory("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"),
          member("lib/x", b"1"), member("abs/y", b"2"), symlink("new", "made/here"), member("new/z", b"3"),
          directory("lib/sub", mode=0o700), member("lib/sub/w", b"4"))  # fmt: skip
    assert (place / "usr/lib/x").read_bytes() == b"1"
    assert (place / "usr/lib/y").read_bytes() == b"2"
    assert (place / "made/here/z").read_bytes() == b"3"
    assert stat.S_IMODE((place / "usr/lib/sub").stat().st_mode) == 0o700


def test_absolute_and_dotted_names_stay_inside(place):
    apply(place, member("/etc/passwd", b"1"), member("../../../up", b"2"), member("a/../../../b", b"3"),
          member("./x//y/./z", b"4"))  # fmt: skip
    assert (place / "etc/passwd").exists() and (place / "up").exists() and (place / "b").exists()
    assert (place / "x/y/z").exists()


@pytest.mark.parametrize("target", ["..", "../..", "/", "/..", "../../outside", "/proc/self/root"])
def test_symlink_parents_do_not_lead_out(place, target):
    apply(place, symlink("out", target), directory("sub"), symlink("sub/out", target),
          member("out/secret", b"hacked"), member("sub/out/new", b"hacked"), directory("out/dir"),
          member("out/secret2", type=tarfile.CHRTYPE, devmajor=1, devminor=3), member("out/.wh.secret3", b""),
          member("out/.wh..wh..opq", b""))  # fmt: skip


def test_symlinks_made_after_their_directory_was_used(place):
    apply(place, member("d/f", b"1"), symlink("d", ".."), member("d/secret", b"hacked"))
    assert (place / "secret").read_bytes() == b"hacked"


@pytest.mark.parametrize("target", ["../secret", "/../secret", "out/secret", "../../outside/secret"])
def test_hard_links_do_not_lead_out(place, target):
    with pytest.raises(DataLoss):
        apply(place, symlink("out", ".."), hardlink("h", target), member("h", b"hacked"))


def test_a_hard_link_to_a_symlink_is_that_symlink(place):
    apply(place, symlink("s", "../secret"), hardlink("h", "s"), member("h", b"new"))
    assert (place / "h").read_bytes() == b"new"
    assert os.readlink(place / "s") == "../secret"


@pytest.mark.parametrize(
    "members",
    [
        [symlink("f", "../secret"), member("f", b"hacked")],
        [symlink("f", "../secret"), directory("f")],
        [symlink("f", "../secret"), member("f", type=tarfile.FIFOTYPE, mode=0o777, uid=9)],
    ],
    ids=["file", "directory", "fifo"],
)
def test_a_symlink_in_the_way_is_replaced(place, members):
    apply(place, *members)
    assert not (place / "f").is_symlink()


@pytest.mark.parametrize(
    "members",
    [
        [member("f", b"1"), member("f/g", b"2")],
        [symlink("l", "l"), member("l/x", b"1")],
        [member("x" * 300, b"1")],
        [member("/".join(["d"] * 2500), b"1")],
        [member("a\0b", b"1", pax_headers={"path": "a\0b"})],
        [member(".wh.", b"")],
        [member(".wh...", b"")],
        [directory("d"), hardlink("h", "d")],
        [hardlink("h", "missing")],
        [hardlink("h", "")],
        [member(".", b"1")],
        [member("f", b"1", uid=2**40)],
        [member("f", b"1", pax_headers={"size": "-5"})],
        [member("f", b"1", pax_headers={"mtime": "9" * 40})],
    ],
)
def test_nonsense_is_data_loss(place, members):
    with pytest.raises(DataLoss):
        apply(place, *members)


def test_overlay_xattrs_of_the_archive_are_dropped(place):
    apply(place, directory("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc"}))
    assert os.listxattr(place / "d") == []


def test_a_deep_archive_needs_few_descriptors(place):
    apply(place, member("/".join(["d"] * 1900) + "/f", b"1"))
    subprocess.run(["rm", "-rf", place / "d"], check=True)


@pytest.mark.parametrize("how", ["--format=gnu", "--format=posix --sparse-version=0.0", "--format=posix "
                                 "--sparse-version=0.1", "--format=posix --sparse-version=1.0"])  # fmt: skip
def test_sparse_files(place, tmp_path_factory, how):
    source = tmp_path_factory.mktemp("sparse")
    with open(source / "sparse", "wb") as f:
        for i in range(40):
            f.seek(i * 1_000_000)
            f.write(b"%04d" % i * 1024)
        f.truncate(50_000_000)
    (source / "after").write_text("next")
    (source / "hole").touch()
    os.truncate(source / "hole", 1 << 20)
    data = subprocess.run(["tar", "-C", source, "--sparse", *how.split(), "-c", "sparse", "after", "hole"],
                          stdout=subprocess.PIPE, check=True).stdout  # fmt: skip
    assert len(data) < 2_000_000
    apply_layer(io.BytesIO(data), str(place))
    for name in ("sparse", "after", "hole"):
        assert (place / name).read_bytes() == (source / name).read_bytes()
    assert (place / "sparse").stat().st_blocks * 512 < 2_000_000


def test_a_reader_that_fails_ends_the_thread(place):
    class Broken(io.BytesIO):
        def read(self, n=-1):
            raise ConnectionResetError(104, "reset")

    with pytest.raises(CricketError):
        apply_layer(Broken(), str(place))


def test_gnu_tar_agrees(place, tmp_path_factory):
    """A real tree packed by GNU tar has no difference afterwards."""
    source = tmp_path_factory.mktemp("tree")
    subprocess.run(["cp", "-a", "/etc", source / "etc"], check=True)
    packed = tmp_path_factory.mktemp("pack") / "x.tar"
    subprocess.run(["tar", "--xattrs", "--format=posix", "-C", source, "-cf", packed, "."], check=True)
    with open(packed, "rb", buffering=0) as f:
        apply_layer(f, str(place))
    subprocess.run(["tar", "--xattrs", "--compare", "-f", packed, "-C", place], check=True)
