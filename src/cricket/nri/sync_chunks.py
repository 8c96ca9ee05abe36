"""Cutting a Synchronize request into messages that ttrpc can carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cricket._proto.nri import api_pb2 as api
from cricket.errors import ResourceExhausted
from cricket.nri.plain import Plain, from_plain
from cricket.wire.ttrpc import MAX_MESSAGE

# What the request's own envelope and each element's tag and length may add.
_ENVELOPE = 512
_TAG = 8


def chunks(pods: Sequence[Plain], containers: Sequence[Plain], limit: int = MAX_MESSAGE - _ENVELOPE) -> Iterator[bytes]:
    """Serialised SynchronizeRequests, all but the last with `more` set; pods come before containers.

    At least one, as a plugin waits for it. Raises ResourceExhausted when a single object is longer than `limit` bytes.
    """
    request, size = api.SynchronizeRequest(), 0
    items = [("pods", api.PodSandbox, pod) for pod in pods] + [("containers", api.Container, c) for c in containers]
    for field, kind, value in items:
        message = from_plain(kind, value)
        needed = message.ByteSize() + _TAG
        if needed > limit:
            raise ResourceExhausted("the description is too long for an NRI message", where=str(value.get("id")))
        if size + needed > limit:
            request.more = True
            yield request.SerializeToString()
            request, size = api.SynchronizeRequest(), 0
        getattr(request, field).append(message)
        size += needed
    yield request.SerializeToString()
