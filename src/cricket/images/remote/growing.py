"""A blob that can be read while it is downloaded, so that unpacking does not wait for the last byte."""

from __future__ import annotations

import os
import threading

from cricket.errors import Aborted, Cancelled, CricketError


class GrowingBlob:
    """Shared by one writer (the download) and readers (the unpacking).

    What is read here is not verified yet: the reader must not publish anything before `wait_done()` has returned.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._path = ""
        self._available = 0
        self._generation = 0
        self._done = False
        self._error: CricketError | None = None

    def begin(self, path: str, available: int) -> None:
        """The file exists, with `available` bytes. Called again when it begins anew: readers of before fail."""
        with self._changed:
            if self._path:
                self._generation += 1
            self._path, self._available = path, available
            self._changed.notify_all()

    def advance(self, available: int) -> None:
        """There are more bytes."""
        with self._changed:
            self._available = available
            self._changed.notify_all()

    def finish(self, path: str) -> None:
        """It is whole and verified, at `path`."""
        with self._changed:
            self._path, self._done = path, True
            self._changed.notify_all()

    def fail(self, error: CricketError) -> None:
        """It will not come; every waiter gets the error."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    @property
    def failed(self) -> CricketError | None:
        """The error, when it failed."""
        return self._error

    def wait_done(self) -> str:
        """Wait until it is whole; returns its path. Raises the download's error."""
        with self._changed:
            self._changed.wait_for(lambda: self._done or self._error)
            if self._error:
                raise self._error
            return self._path

    def open(self) -> GrowingReader:
        """A reader from the first byte, as soon as there is a file. Raises the download's error."""
        with self._changed:
            self._changed.wait_for(lambda: self._path or self._error)
            path, generation = self._path, self._generation
        if self._error:
            raise self._error
        try:
            return GrowingReader(self, path, generation)
        except FileNotFoundError:  # it was committed or dropped in this moment
            return GrowingReader(self, self.wait_done(), self._generation)

    def is_stale(self, generation: int) -> bool:
        """Whether the download began anew since."""
        return self._generation != generation

    def wait_beyond(self, position: int, generation: int) -> bool:
        """Wait for bytes after `position`; False at the end. Raises Aborted when the download began anew."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._available > position or self._done or self._error or self._generation != generation
            )
            if self._error:
                raise Cancelled("the download failed") from self._error
            if self._generation != generation:
                raise Aborted("the download began anew")
            return self._available > position or not self._done


class GrowingReader:
    """A `Source` for unpacking."""

    def __init__(self, blob: GrowingBlob, path: str, generation: int) -> None:
        self._blob, self._generation, self._position = blob, generation, 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, size: int, /) -> bytes:
        """Some bytes, b"" at the end."""
        while not (data := os.pread(self._fd, size, self._position)):
            if not self._blob.wait_beyond(self._position, self._generation):
                return b""
        self._position += len(data)
        return data

    @property
    def stale(self) -> bool:
        """Whether what was read may be wrong, because the download began anew."""
        return self._blob.is_stale(self._generation)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
