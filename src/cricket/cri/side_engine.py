"""What the side service needs of the daemon. All methods raise `CricketError` kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from cricket.types.image import Image
from cricket.types.side import ImageProblem, PullState, ReloadReport


class Archives(Protocol):
    """Images from and to files of the node; paths are absolute."""

    async def load(self, path: str, name: str) -> Sequence[Image]:
        """Load an OCI layout, OCI archive or docker-archive; `name` is for an image that has none of its own."""

    async def save(self, names: Sequence[str], path: str, kind: str) -> None:
        """Write images as "oci-archive", "oci-dir" or "docker-archive"; AlreadyExists when the path does."""

    async def import_root(
        self, path: str, name: str, command: Sequence[str], env: Sequence[str], working_dir: str
    ) -> Image:
        """Make an image of one layer from a directory or a tar."""

    async def check(self, repair: bool) -> Sequence[ImageProblem]:
        """Verify blobs and layers; with `repair`, drop what is broken."""


class Pulls(Protocol):
    """Pulls under way."""

    def watch(self, reference: str) -> AsyncIterator[PullState]:
        """States of the pull of a reference, the current one first, until it ends; nothing when there is none."""


class Daemon(Protocol):
    """The process itself."""

    async def reload(self) -> ReloadReport:
        """Read the configuration anew."""

    def facts(self) -> Mapping[str, str]:
        """What a person may want to know: paths, addresses, versions of the tools."""
