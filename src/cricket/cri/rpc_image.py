"""The ImageService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_image import auth_from, fs_usage_to, image_info, image_item
from cricket.cri.fields import required
from cricket.cri.framing import batches
from cricket.cri.servicer import Servicer
from cricket.errors import InvalidArgument


class ImageService(Servicer):
    """Images."""

    def ListImages(self, request: pb.ListImagesRequest) -> bytes:
        """The list in one message."""
        return b"".join(self._items(request.filter.image.image))

    async def StreamImages(self, request: pb.StreamImagesRequest) -> AsyncIterator[bytes]:
        """The list in several messages."""
        for batch in batches(self._items(request.filter.image.image)):
            yield batch

    def _items(self, name: str) -> list[bytes]:
        if name:
            image = self.engine.images.find(name)
            return self.views.image_items.items([image] if image is not None else [])
        images = self.engine.images.list()
        self.views.image_items.prune(images)
        return self.views.image_items.items(images)

    def ImageStatus(self, request: pb.ImageStatusRequest) -> pb.ImageStatusResponse:
        """The image, or an answer without one: a missing image is no error."""
        image = self.engine.images.find(required(request.image.image, "image.image"))
        if image is None:
            return pb.ImageStatusResponse()
        return pb.ImageStatusResponse(image=image_item(image), info=image_info(image) if request.verbose else {})

    async def PullImage(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        """Pull; there is no deadline, and a caller that goes away stops waiting for it."""
        reference = required(request.image.image, "image.image")
        await self._check_handler(request.image.runtime_handler)
        image_id = await self.engine.images.pull(reference, auth_from(request), dict(request.image.annotations))
        return pb.PullImageResponse(image_ref=image_id)

    async def _check_handler(self, name: str) -> None:
        """A pull for a handler that does not exist is refused; the store is the same for all that do."""
        if name and name not in {h.name for h in (await self.engine.node.status(False)).handlers}:
            raise InvalidArgument(f"there is no runtime handler {name!r}", where="image.runtime_handler")

    async def RemoveImage(self, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        """Idempotent."""
        await self.engine.images.remove(required(request.image.image, "image.image"))
        return pb.RemoveImageResponse()

    async def ImageFsInfo(self, request: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        """Layers and writable layers share one file system, so both lists are the same."""
        usages = [fs_usage_to(usage) for usage in await self.engine.images.fs_usage()]
        return pb.ImageFsInfoResponse(image_filesystems=usages, container_filesystems=usages)
