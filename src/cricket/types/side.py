"""Values of the side service: what our own client asks beyond CRI."""

from __future__ import annotations

import msgspec


class LayerState(msgspec.Struct, frozen=True):
    """A layer of a pull. Sizes in bytes; `state`: waiting, downloading, downloaded, unpacking, done or here."""

    digest: str
    size: int = 0
    received: int = 0
    state: str = "waiting"


class PullState(msgspec.Struct, frozen=True):
    """A pull as it is now. `stage`: waiting, resolving, fetching or recording; `note`: retries and fallbacks."""

    reference: str
    stage: str = "waiting"
    layers: tuple[LayerState, ...] = ()
    note: str = ""


class ImageProblem(msgspec.Struct, frozen=True):
    """Something wrong in the image store.

    `kind` is index, blob, image, layer, snapshot or orphan; `outcome` says what repair did, "" for nothing.
    """

    kind: str
    name: str
    what: str
    outcome: str = ""


class ReloadReport(msgspec.Struct, frozen=True):
    """Keys of the configuration that changed."""

    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
