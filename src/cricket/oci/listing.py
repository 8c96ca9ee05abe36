"""Directories of small files that others change at any time: what is there, and whether it is still the same."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from cricket.errors import InvalidArgument, map_errors


class ListedFile(msgspec.Struct, frozen=True):
    """A file as it was when the directory was listed. Equal listings mean that nothing has changed."""

    path: str
    mtime_ns: int
    size: int
    inode: int
    directory: int

    def read(self, limit: int) -> bytes:
        """Its content. Raises InvalidArgument when it cannot be read or is larger than `limit` bytes."""
        with map_errors(OSError, InvalidArgument, "cannot read a file", where=self.path), open(self.path, "rb") as f:
            content = f.read(limit + 1)
        if len(content) > limit:
            raise InvalidArgument(f"the file is larger than {limit} bytes", where=self.path)
        return content


def list_files(directories: Sequence[str], suffixes: tuple[str, ...]) -> list[ListedFile]:
    """Regular files with one of the suffixes, by directory (its index is kept) and name; a missing one is empty."""
    found = []
    for index, directory in enumerate(directories):
        try:
            with os.scandir(directory) as unsorted:
                entries = sorted(unsorted, key=lambda e: e.name)
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.name.endswith(suffixes) and entry.is_file():
                    status = entry.stat()
                    found.append(ListedFile(entry.path, status.st_mtime_ns, status.st_size, status.st_ino, index))
            except OSError:  # gone since it was listed
                continue
    return found
