"""The tar reader: formats, and damage told with its place."""

import io
import tarfile

import pytest

from cricket.errors import DataLoss
from cricket.images.layers import tar
from cricket.images.layers.pax import parse_records, parse_seconds
from cricket.images.layers.tar import TarReader

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def archive(*members, fmt=tarfile.PAX_FORMAT, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt, **options) as t:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            for key, value in attributes.items():
                setattr(info, key, value)
            if data is not None:
                info.size = len(data)
            t.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def reader(data, chunk=None):
    chunks = iter([data] if chunk is None else [data[i : i + chunk] for i in range(0, len(data), chunk)])
    return TarReader(lambda: next(chunks, b""))


def read_all(data, chunk=None):
    r = reader(data, chunk)
    found = []
    while (entry := r.next()) is not None:
        found.append((entry, r.read(1 << 20) if entry.type == tar.REGULAR else b""))
    return found


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("chunk", [None, 1, 511, 512, 700])
def test_what_tarfile_writes(fmt, chunk):
    data = archive(
        ("dir", None, {"type": tarfile.DIRTYPE, "mode": 0o1777}),
        ("dir/file", b"x" * 700, {"mode": 0o4755, "uid": 1000, "gid": 100, "mtime": 1700000000}),
        ("dir/empty", b"", {}),
        ("link", None, {"type": tarfile.SYMTYPE, "linkname": "../target"}),
        ("hard", None, {"type": tarfile.LNKTYPE, "linkname": "dir/file"}),
        ("null", None, {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("pipe", None, {"type": tarfile.FIFOTYPE}),
        fmt=fmt,
    )
    found = read_all(data, chunk)
    assert [e.name for e, _ in found] == [b"dir/", b"dir/file", b"dir/empty", b"link", b"hard", b"null", b"pipe"]
    file, content = found[1]
    assert (file.mode, file.uid, file.gid, file.mtime, content) == (0o4755, 1000, 100, 1700000000 * 10**9, b"x" * 700)
    assert found[3][0].link == b"../target"
    assert (found[4][0].type, found[4][0].link) == (tar.HARDLINK, b"dir/file")
    assert (found[5][0].major, found[5][0].minor) == (1, 3)


@pytest.mark.parametrize("fmt", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(fmt):
    name, link = "d/" * 100 + "n" * 200, "l" * 300
    found = read_all(
        archive(
            (name, b"1", {"uid": 2**31, "gid": 2**31 + 1}),
            ("s", None, {"type": tarfile.SYMTYPE, "linkname": link}),
            fmt=fmt,
        )
    )
    assert found[0][0].name == name.encode()
    assert (found[0][0].uid, found[0][0].gid) == (2**31, 2**31 + 1)
    assert found[1][0].link == link.encode()


def test_the_ustar_prefix():
    name = "p" * 100 + "/" + "n" * 90
    assert read_all(archive((name, b"1", {}), fmt=tarfile.USTAR_FORMAT))[0][0].name == name.encode()


def test_pax_times_xattrs_and_globals():
    data = archive(
        ("a", b"1", {"mtime": 1.5, "pax_headers": {"SCHILY.xattr.user.k": "v\n=w"}}),
        ("b", b"2", {}),
        pax_headers={"comment": "ignored", "gid": "77"},
    )
    (a, _), (b, _) = read_all(data)
    assert a.mtime == 1_500_000_000
    assert a.xattrs == {b"user.k": b"v\n=w"}
    assert b.gid == 77
    assert b.xattrs is None


def test_negative_times():
    assert parse_seconds(b"-1.5") == -1_500_000_000
    assert parse_seconds(b"-0.25") == -250_000_000
    assert parse_seconds(b"1.1234567899") == 1_123_456_789
    for bad in (b"", b"1.x", b"--1", b"1e5"):
        if bad:
            with pytest.raises(ValueError):
                parse_seconds(bad)


def test_base_256_negative_mtime():
    data = bytearray(archive(("old", b"", {"mtime": 0}), fmt=tarfile.GNU_FORMAT))
    data[136:148] = (-5).to_bytes(12, "big", signed=True)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert read_all(bytes(data))[0][0].mtime == -5_000_000_000


@pytest.mark.parametrize(
    "bad", [b"5 a=b\n", b"7 a=b\n", b"x a=b\n", b"6 ab.\n", b"6 =ab\n", b"6 abc\n", b"999999999999999999999999 a=b\n"]
)
def test_malformed_pax_records(bad):
    with pytest.raises(ValueError):
        parse_records(bad)


def test_no_trailer_is_forgiven():
    data = archive(("a", b"x" * 512, {}))
    assert len(read_all(data[:1024])) == 1
    assert len(read_all(archive(("a", b"x" * 600, {}))[: 512 + 600])) == 1
    assert read_all(b"") == []


@pytest.mark.parametrize("keep", [100, 512 + 100, 511, 513])
def test_cut_short(keep):
    data = archive(("a", b"x" * 600, {}))
    with pytest.raises(DataLoss) as caught:
        read_all(data[:keep])
    assert "offset" in caught.value.where


def test_a_damaged_header_is_told_with_its_place():
    data = bytearray(archive(("a", b"1", {}), ("b", b"2", {})))
    data[1024] ^= 1
    with pytest.raises(DataLoss) as caught:
        read_all(bytes(data))
    assert "entry 'a'" in caught.value.where and "offset 1536" in caught.value.where


def test_unknown_types_are_refused():
    with pytest.raises(DataLoss):
        read_all(archive(("a", None, {"type": b"Q"})))


def test_links_have_no_data_whatever_they_say():
    data = bytearray(archive(("l", None, {"type": tarfile.SYMTYPE, "linkname": "x"}), ("f", b"1", {})))
    data[124:136] = b"00000001000\0"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert [e.name for e, _ in read_all(bytes(data))] == [b"l", b"f"]


def test_an_oversized_extension_is_refused():
    data = archive(("x", b"\0" * (2 << 20), {"type": b"x"}), fmt=tarfile.USTAR_FORMAT)
    with pytest.raises(DataLoss):
        read_all(data)
