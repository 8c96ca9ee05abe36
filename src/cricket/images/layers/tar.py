"""A streaming reader of tar archives: ustar, GNU, PAX, star; names are bytes; nothing is written here but entry data.

Sources: POSIX.1-2001 pax interchange format; the GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable

from cricket.errors import DataLoss
from cricket.images.layers import sparse
from cricket.images.layers.pax import Records, parse_records, parse_seconds

REGULAR, HARDLINK, SYMLINK, CHAR, BLOCK, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"

_BLOCK = 512
_SPECIAL_MAX = 1 << 20
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12s")
_ZEROS = bytes(_BLOCK)
_EXTENSIONS = frozenset((b"x", b"g", b"X", b"L", b"K"))
_TYPES = {b"\0": REGULAR, b"7": REGULAR, b"S": REGULAR, b"D": DIRECTORY} | {bytes([c]): bytes([c]) for c in b"0123456"}
_XATTR = b"SCHILY.xattr."


class Entry:
    """One member. `size` is what the file shall have, `stored` how many bytes of it the archive holds.

    `mtime` in nanoseconds; `segments` (offset, length) of a sparse file; `xattrs` by name.
    """

    __slots__ = ("gid", "link", "major", "minor", "mode", "mtime", "name", "segments", "size", "stored", "type", "uid",
                 "xattrs")  # fmt: skip

    def __init__(self, name: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, link: bytes):
        self.name, self.type, self.mode, self.uid, self.gid = name, kind, mode, uid, gid
        self.size = self.stored = size
        self.mtime, self.link = mtime, link
        self.major = self.minor = 0
        self.segments: list[tuple[int, int]] | None = None
        self.xattrs: dict[bytes, bytes] | None = None


class TarReader:
    """Reads entries in order from chunks of bytes (`next_chunk` returns b"" at the end).

    All methods raise DataLoss, with the offset in the uncompressed archive, when the archive is damaged or cut short.
    """

    def __init__(self, next_chunk: Callable[[], bytes]) -> None:
        self._next_chunk = next_chunk
        self._buf = memoryview(b"")
        self._pos = self._end = self._base = 0
        self._left = 0  # data of the current entry not yet read
        self._pad = 0
        self._globals: Records = {}
        self._ended = False
        self.current = b""

    @property
    def offset(self) -> int:
        """Where the reader is in the archive, in bytes."""
        return self._base + self._pos

    def next(self) -> Entry | None:
        """The next entry, after skipping what is left of the one before; None at the end of the archive."""
        records: Records | None = None
        long_name = long_link = None
        while True:
            if self._left or self._pad:
                self._skip(self._left)
                if not self._skip_padding():
                    return None
            raw = self._block()
            if raw is None:
                return None
            fields = _HEADER.unpack(raw)
            self._verify(raw, fields[6])
            kind = fields[7]
            if kind in _EXTENSIONS:
                data = self._special(fields[4])
                if kind in b"LK":
                    text = data.partition(b"\0")[0]
                    long_name, long_link = (text, long_link) if kind == b"L" else (long_name, text)
                elif kind == b"g":
                    self._globals |= self._records(data)
                else:
                    records = self._records(data)
                continue
            if kind == b"V":  # a volume label is no file
                self._left, self._pad = self._extent(self._number(fields[4]))
                continue
            return self._entry(raw, fields, records, long_name, long_link)

    def _entry(
        self,
        raw: bytes,
        fields: tuple[bytes, ...],
        records: Records | None,
        long_name: bytes | None,
        long_link: bytes | None,
    ) -> Entry:
        name = fields[0].partition(b"\0")[0]
        flag = fields[7]
        kind = _TYPES.get(flag)
        self.current = name
        if kind is None:
            raise self.damaged(f"an entry has the unknown type {flag!r}")
        if fields[9] == b"ustar\x0000" and fields[14][0]:
            # The star format keeps times at the end of the prefix field and marks itself in the last four bytes.
            prefix = fields[14][:131] if fields[15][8:] == b"tar\0" else fields[14]
            name = prefix.partition(b"\0")[0] + b"/" + name
        number = self._number
        entry = Entry(
            long_name if long_name is not None else name,
            kind,
            number(fields[1]) & 0o7777,
            number(fields[2]),
            number(fields[3]),
            number(fields[4]),
            number(fields[5]) * 1_000_000_000,
            (long_link if long_link is not None else fields[8].partition(b"\0")[0]) if kind in b"12" else b"",
        )
        self.current = entry.name
        in_map = 0
        if records is not None or self._globals:
            in_map = self._extend(entry, {**self._globals, **(records or {})})
            self.current = entry.name
        if flag == b"\0" and entry.name.endswith(b"/"):
            entry.type = kind = DIRECTORY  # how archives before ustar wrote directories
        if kind in b"34":
            entry.major, entry.minor = number(fields[12]), number(fields[13])
        if flag == b"S":
            entry.size = number(raw[483:495])
            entry.segments = sparse.gnu_map(raw, lambda: self._need_block("a sparse map"), number)
        # Links, devices and directories carry no data, whatever their size says; GNU dumpdirs (D) do.
        if kind != REGULAR and flag != b"D":
            entry.size = entry.stored = 0
        self._left, self._pad = self._extent(entry.stored)
        if entry.segments is not None:
            self._left -= in_map
            self._check_sparse(entry, entry.segments)
        return entry

    def _extend(self, entry: Entry, records: Records) -> int:
        """Let PAX records override the header; returns how many bytes of the data a sparse map took."""
        try:
            if value := records.get(b"path"):
                entry.name = value
            if (value := records.get(b"linkpath")) and entry.type in b"12":
                entry.link = value
            if value := records.get(b"size"):
                entry.size = entry.stored = int(value)
            if value := records.get(b"uid"):
                entry.uid = int(value)
            if value := records.get(b"gid"):
                entry.gid = int(value)
            if value := records.get(b"mtime"):
                entry.mtime = parse_seconds(value)
        except ValueError as e:
            raise self.damaged("a PAX record holds a malformed number") from e
        xattrs = {k[len(_XATTR) :]: v for k, v in records.items() if k.startswith(_XATTR)}
        if xattrs:
            entry.xattrs = xattrs
        if entry.type == REGULAR and any(k.startswith(b"GNU.sparse.") for k in records):
            return self._extend_sparse(entry, records)
        return 0

    def _extend_sparse(self, entry: Entry, records: Records) -> int:
        entry.name = records.get(b"GNU.sparse.name") or entry.name
        blocks = 0
        try:
            entry.size = int(records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size") or entry.size)
            if records.get(b"GNU.sparse.major") == b"1":
                # The map is the beginning of the data.
                entry.segments, blocks = sparse.map_1_0(lambda: self._need_block("a sparse map"))
            elif (text := records.get(b"GNU.sparse.map")) is not None:
                entry.segments = sparse.map_0_1(text)
        except ValueError as e:
            raise self.damaged("the map of a sparse file is malformed") from e
        return blocks * _BLOCK

    def _check_sparse(self, entry: Entry, segments: sparse.Segments) -> None:
        end = 0
        for offset, length in segments:
            if offset < end or length < 0:
                raise self.damaged("the segments of a sparse file overlap")
            end = offset + length
        if end > entry.size or sum(length for _, length in segments) != self._left:
            raise self.damaged("the map of a sparse file does not match its size")

    def copy_to(self, fd: int) -> None:
        """Write the current entry's data to a file (one that is empty), without the pieces between sparse segments."""
        left, self._left = self._left, 0
        write = os.write
        while left:
            n = self._end - self._pos
            if n <= 0:
                self._more()
                continue
            n = min(n, left)
            n = write(fd, self._buf[self._pos : self._pos + n])
            self._pos += n
            left -= n

    def copy_sparse(self, fd: int, entry: Entry) -> None:
        """Write the segments of a sparse entry where they belong, and set the size."""
        pad, self._pad = self._pad, 0
        for offset, length in entry.segments or []:
            os.lseek(fd, offset, os.SEEK_SET)
            self._left = length
            self.copy_to(fd)
        self._pad = pad
        os.ftruncate(fd, entry.size)

    def read(self, limit: int) -> bytes:
        """The current entry's data; DataLoss when they are longer than `limit` bytes."""
        if self._left > limit:
            raise self.damaged(f"an entry is longer than the {limit} bytes allowed here")
        left, self._left = self._left, 0
        return self._take(left)

    def drain(self) -> None:
        """Read to the end of the stream, so that its digest is whole."""
        while self._next_chunk():
            pass

    def damaged(self, what: str) -> DataLoss:
        """A DataLoss that says where in the archive."""
        where = f"entry {os.fsdecode(self.current)!r}, " if self.current else ""
        return DataLoss(what, where=f"{where}offset {self.offset}")

    # The stream below the entries.

    def _more(self) -> None:
        if not self._try_more():
            raise self.damaged("the archive ends in the middle of an entry")

    def _try_more(self) -> bool:
        chunk = self._next_chunk()
        self._base += self._end
        self._buf, self._pos, self._end = memoryview(chunk), 0, len(chunk)
        return bool(chunk)

    def _take(self, n: int) -> bytes:
        if n <= self._end - self._pos:
            self._pos += n
            return bytes(self._buf[self._pos - n : self._pos])
        parts = []
        while n:
            here = min(n, self._end - self._pos)
            if here <= 0:
                self._more()
                continue
            parts.append(bytes(self._buf[self._pos : self._pos + here]))
            self._pos += here
            n -= here
        return b"".join(parts)

    def _skip(self, n: int) -> None:
        while n > self._end - self._pos:
            n -= self._end - self._pos
            self._pos = self._end
            self._more()
        self._pos += n

    def _skip_padding(self) -> bool:
        """False when the archive ends here instead: some writers leave the last padding and the trailer out."""
        left, self._left, self._pad = self._pad, 0, 0
        while left > self._end - self._pos:
            left -= self._end - self._pos
            self._pos = self._end
            if not self._try_more():
                return False
        self._pos += left
        return True

    def _need_block(self, what: str) -> bytes:
        try:
            return self._take(_BLOCK)
        except DataLoss:
            raise self.damaged(f"the archive ends in {what}") from None

    def _block(self) -> bytes | None:
        """The next header; None at the end, which is two zero blocks or the end of the stream between entries."""
        zeros = 0
        while not self._ended:
            while self._pos >= self._end:
                if not self._try_more():
                    self._ended = True
                    return None
            raw = self._take(_BLOCK)
            if raw != _ZEROS:
                # A lone zero block between entries is forgiven, as other readers do.
                return raw
            zeros += 1
            self._ended = zeros == 2
        return None

    def _verify(self, raw: bytes, field: bytes) -> None:
        # Adler-32's low half is one plus the sum of the bytes, modulo 65521: a sum at C speed.
        total = ((zlib.adler32(raw) & 0xFFFF) - 1 - (zlib.adler32(field) & 0xFFFF) + 1 + 256) % 65521
        if self._number(field) % 65521 == total:
            return
        signed = sum(b - 256 if b > 127 else b for b in raw[:148] + raw[156:]) + 256
        if self._number(field) != signed:
            raise self.damaged("a header has a wrong checksum: this is no tar archive, or it is damaged")

    def _number(self, field: bytes) -> int:
        try:
            return int(field.rstrip(b"\0 ") or b"0", 8)
        except ValueError:
            pass
        if field[0] & 0x80:  # GNU base-256: two's complement, big-endian, with the top bit as the mark
            value = int.from_bytes(field, "big")
            bits = len(field) * 8 - 1
            value &= (1 << bits) - 1
            return value - (1 << bits) if value >> (bits - 1) else value
        try:
            return int(field.partition(b"\0")[0].strip() or b"0", 8)
        except ValueError:
            raise self.damaged(f"a header holds the malformed number {field!r}") from None

    def _extent(self, size: int) -> tuple[int, int]:
        """Bytes of data and of padding behind a header."""
        if size < 0:
            raise self.damaged("an entry has a negative size")
        return size, -size % _BLOCK

    def _special(self, field: bytes) -> bytes:
        """The data of an extension header."""
        size, pad = self._extent(self._number(field))
        if size > _SPECIAL_MAX:
            raise self.damaged(f"an extension header is longer than {_SPECIAL_MAX} bytes")
        data = self._take(size)
        self._skip(pad)
        return data

    def _records(self, data: bytes) -> Records:
        try:
            return parse_records(data)
        except ValueError as e:
            raise self.damaged("a PAX header is malformed") from e
