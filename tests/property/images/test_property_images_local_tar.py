"""The tar reader against tarfile's writer, under any chunking; and against any bytes at all."""

import io
import os
import shutil
import tarfile
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cricket.errors import DataLoss
from cricket.images.layers import apply_layer
from cricket.images.layers.tar import REGULAR, TarReader
from cricket.images.layers.tree import clean

NAMES = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=130).filter(
    lambda n: n.strip("/") and not n.endswith("/")
)
XATTRS = st.dictionaries(st.sampled_from(["SCHILY.xattr.user.a", "SCHILY.xattr.user.b"]), st.text(max_size=20))
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.binary(max_size=1500),
        st.integers(0, 0o7777),
        st.integers(0, 2**40),
        st.integers(0, 2**33),
        XATTRS,
        st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    ),
    max_size=6,
)


def write(members, fmt):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt, encoding="utf-8") as t:
        for name, data, mode, uid, mtime, xattrs, kind in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.mtime, info.type = mode, uid, mtime, kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            elif kind != tarfile.DIRTYPE:
                info.linkname = "l" * len(data) or "x"
            if fmt == tarfile.PAX_FORMAT:
                info.pax_headers = dict(xattrs)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def chunked(data, sizes):
    def pieces():
        at, i = 0, 0
        while at < len(data):
            size = sizes[i % len(sizes)]
            yield data[at : at + size]
            at, i = at + size, i + 1

    iterator = pieces()
    return lambda: next(iterator, b"")


@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]), st.lists(st.integers(1, 3000), min_size=1))
def test_reads_what_tarfile_writes(members, fmt, sizes):
    reader = TarReader(chunked(write(members, fmt), sizes))
    for name, data, mode, uid, mtime, xattrs, kind in members:
        entry = reader.next()
        assert entry.name.rstrip(b"/") == name.encode()
        assert (entry.mode, entry.uid, entry.mtime, entry.type) == (mode, uid, mtime * 10**9, kind)
        if kind == tarfile.REGTYPE:
            assert reader.read(2000) == data
        elif kind != tarfile.DIRTYPE:
            assert entry.link == (b"l" * len(data) or b"x")
        if fmt == tarfile.PAX_FORMAT:
            assert (entry.xattrs or {}) == {k[13:].encode(): v.encode() for k, v in xattrs.items()}
    assert reader.next() is None
    assert reader.next() is None


@given(MEMBERS, st.data())
def test_damage_is_data_loss_or_other_content_but_never_another_error(members, data):
    raw = bytearray(write(members, tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    reader = TarReader(chunked(bytes(raw[:cut]), [700]))
    try:
        while (entry := reader.next()) is not None:
            if entry.type == REGULAR:
                reader.read(1 << 20)
    except DataLoss as e:
        assert "offset" in e.where


@given(st.binary(max_size=3000))
def test_any_bytes(raw):
    try:
        reader = TarReader(chunked(raw, [512]))
        while reader.next() is not None:
            pass
    except DataLoss:
        pass


@given(st.lists(st.sampled_from([b"", b".", b"..", b"a", b"b", b".c", b"..d", b" "]), max_size=8).map(b"/".join))
def test_cleaned_names_stay_below(name):
    parts = clean(name).split(b"/")
    assert b".." not in parts and b"." not in parts
    assert parts == [b""] or b"" not in parts
    assert clean(name) == os.path.normpath(b"/" + name).lstrip(b"/")


# Hostile archives: a small alphabet of names, so that entries collide, link and lead through one another.
PART = st.sampled_from(["a", "b", "..", ".", "", "secret", ".wh.a", ".wh..wh..opq", "outside"])
PATH = st.lists(PART, min_size=1, max_size=4).map("/".join)
TARGET = st.one_of(PATH, st.sampled_from(["/", "..", "../..", "../secret", "/etc/passwd", "/proc/self/root/etc"]))
KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
HOSTILE = st.lists(st.tuples(PATH, st.sampled_from(KINDS), TARGET), min_size=1, max_size=10)


def hostile(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.mode = kind, 4242, 0o777
            if kind == tarfile.REGTYPE:
                info.size = 6
            elif kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = target
            elif kind == tarfile.CHRTYPE:
                info.devmajor, info.devminor = 1, 3
            t.addfile(info, io.BytesIO(b"hacked"))
    return out.getvalue()


def picture(top, skip):
    """Everything that could be changed of what is around the target."""
    found = []
    for directory, below, files in os.walk(top):
        below[:] = [b for b in below if os.path.join(directory, b) != skip]
        for name in [*files, *below, ""]:
            info = os.lstat(os.path.join(directory, name))
            found.append((directory, name, info.st_mode, info.st_uid, info.st_nlink, info.st_size))
    return sorted(found)


@pytest.mark.root
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_nothing_outside_changes_whatever_the_archive_says(entries):
    top = tempfile.mkdtemp()
    try:
        target = os.path.join(top, "outside", "fs")
        os.makedirs(target)
        for place in (top, os.path.join(top, "outside")):
            with open(os.path.join(place, "secret"), "w") as f:
                f.write("untouched")
        before, passwd = picture(top, target), os.stat("/etc/passwd")
        try:
            apply_layer(io.BytesIO(hostile(entries)), target)
        except DataLoss:
            pass
        # The target directory itself may change its mode and link count; nothing else may.
        assert picture(top, target) == before
        now = os.stat("/etc/passwd")
        assert (now.st_ino, now.st_uid, now.st_nlink, now.st_mtime_ns) == (
            passwd.st_ino, passwd.st_uid, passwd.st_nlink, passwd.st_mtime_ns,
        )  # fmt: skip
    finally:
        shutil.rmtree(top)
