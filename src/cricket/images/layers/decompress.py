"""Decompression of a layer in a thread of its own, with the digest of what comes out (the diff id)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import queue
import threading
from typing import Any, Protocol

from cricket.errors import CricketError, DataLoss, Internal

_CHUNK = 1 << 20
_AHEAD = 4
_INPUT = 1 << 18
_WINDOW = 1 << 27  # what zstd --long=27 needs; more would let an archive take any amount of memory


class Source(Protocol):
    """Where a layer comes from: a file, a pipe, a download. `read` returns b"" at the end; short reads are fine."""

    def read(self, size: int, /) -> bytes | None: ...


class _Sniffed(io.RawIOBase):
    """A source whose first bytes have been looked at."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.head = b""
        while len(self.head) < 6:
            data = source.read(_INPUT)
            if not data:
                break
            self.head += data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.head
        if data:
            self.head = data[len(buffer) :]
            data = data[: len(buffer)]
        else:
            data = self._source.read(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)


class _Zstd:
    """Zstandard frames. The library takes an input that ends within a frame for one that ends after it, so a frame of
    our own is put at the end: what comes out must end with it."""

    def __init__(self, raw: Source) -> None:
        import zstandard

        self._raw = raw
        self._mark = os.urandom(16)
        self._last = zstandard.ZstdCompressor(level=1).compress(self._mark)
        source: Any = self._Input(self)
        limits = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._frames: Source = limits.stream_reader(source, read_size=_INPUT, read_across_frames=True)
        self._held = b""

    class _Input:
        def __init__(self, outer: _Zstd) -> None:
            self._outer = outer

        def read(self, size: int = -1) -> bytes:
            data = self._outer._raw.read(size)
            if not data:
                data, self._outer._last = self._outer._last, b""
            return data

    def read(self, size: int, /) -> bytes:
        while True:
            data = self._frames.read(size)
            if not data:
                if self._held != self._mark:
                    raise EOFError("the compressed data end in the middle of a frame")
                return b""
            data = self._held + data
            self._held = data[-len(self._mark) :]
            if len(data) > len(self._mark):
                return data[: -len(self._mark)]


def compression(head: bytes) -> str:
    """What the first bytes (six are enough) say: "gzip", "zstd", "xz", "bzip2", or "" for anything else."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"  # a frame, or one to be skipped
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return "bzip2" if head.startswith(b"BZh") else ""


def decompressed(source: Source) -> Source:
    """`source` decompressed as its first bytes say: gzip (several members too), zstd (several frames), xz, bzip2.

    Anything else is taken to be an uncompressed archive.
    """
    raw: Any = _Sniffed(source)
    reader: Source = raw
    match compression(raw.head):
        case "gzip":
            from isal import isal_zlib

            reader = isal_zlib._GzipReader(raw, _INPUT)
        case "zstd":
            reader = _Zstd(raw)
        case "xz":
            import lzma

            reader = lzma.LZMAFile(io.BufferedReader(raw, _INPUT))  # noqa: SIM115 - nothing to close
        case "bzip2":
            import bz2

            reader = bz2.BZ2File(io.BufferedReader(raw, _INPUT))
    return reader


class Chunks:
    """The decompressed layer, chunk by chunk, read ahead by a thread that also digests it.

    `digest` ("sha256:HEX") and `size` in bytes are right once `next()` has returned b"".
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._stop = False
        self._hasher = hashlib.sha256()
        self._ended = False
        self.size = 0
        self._thread = threading.Thread(target=self._work, name="decompress", daemon=True)
        self._thread.start()

    @property
    def digest(self) -> str:
        """The diff id."""
        return "sha256:" + self._hasher.hexdigest()

    def _work(self) -> None:
        last: bytes | BaseException = b""
        try:
            stream = decompressed(self._source)
            while not self._stop and (data := stream.read(_CHUNK)):
                self._hasher.update(data)
                self.size += len(data)
                self._queue.put(data)
        except BaseException as e:  # it is raised again in the thread that reads
            last = e
        self._queue.put(last)

    def next(self) -> bytes:
        """The next chunk, b"" at the end. DataLoss when the compressed data are damaged or end too early."""
        if self._ended:
            return b""
        item = self._queue.get()
        if isinstance(item, bytes):
            self._ended = not item
            return item
        self._ended = True
        if isinstance(item, CricketError):
            raise item
        if isinstance(item, OSError) and item.errno is not None:
            raise Internal("cannot read a layer") from item
        if isinstance(item, Exception):
            raise DataLoss("the compressed data of a layer are damaged", where=f"after {self.size} bytes") from item
        raise item

    def close(self) -> None:
        """Stop the thread, which first finishes the read that it is in. Idempotent."""
        self._stop = True
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.05)
        self._thread.join()

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
