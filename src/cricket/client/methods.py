"""The RPCs of CRI and of Cricket's side service, by their names in the protos."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from cricket._proto.cri import api_pb2


class Method(NamedTuple):
    """One RPC."""

    name: str
    path: str
    request: Any
    response: Any
    streams: bool


@functools.cache
def find_method(name: str) -> Method:
    """A method of CRI or of the side service. Raises LookupError."""
    for module, service in _services():
        found = module.DESCRIPTOR.services_by_name[service].methods_by_name.get(name)
        if found is not None:
            request, response = getattr(module, found.input_type.name), getattr(module, found.output_type.name)
            path = f"/{module.DESCRIPTOR.package}.{service}/{name}"
            return Method(name, path, request, response, bool(found.server_streaming))
    raise LookupError(name)


def _services() -> Iterator[tuple[Any, str]]:
    yield api_pb2, "RuntimeService"
    yield api_pb2, "ImageService"
    from cricket._proto.cricket import side_pb2

    yield side_pb2, "Side"
