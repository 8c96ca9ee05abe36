"""The `Images` part of the engine: the store, and pulls by worker processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cricket.images.pull import PullService
from cricket.images.store import ImageStore
from cricket.types.image import FsUsage, Image, RegistryAuth
from cricket.types.stage import stage


class NativeImages:
    """Images by name, for people and for the kubelet."""

    def __init__(self, store: ImageStore, pulls: PullService) -> None:
        self.store, self.pulls = store, pulls

    async def pull(self, reference: str, auth: RegistryAuth | None, annotations: Mapping[str, str]) -> str:
        """See images/pull.py."""
        with stage("pull", reference):
            return await self.pulls.pull(reference, auth, annotations)

    def find(self, name: str) -> Image | None:
        """From memory."""
        return self.store.find(name)

    def list(self) -> Sequence[Image]:
        """From memory."""
        return self.store.list()

    async def remove(self, name: str) -> None:
        """See images/store.py."""
        await self.store.remove(name)

    async def fs_usage(self) -> Sequence[FsUsage]:
        """See images/store.py."""
        return await self.store.fs_usage()
