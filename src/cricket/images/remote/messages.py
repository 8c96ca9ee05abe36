"""What the daemon and the pull worker say to each other: one JSON document a line."""

from __future__ import annotations

import msgspec

from cricket import errors
from cricket.errors import CricketError, Internal
from cricket.images.remote.endpoint import RegistryPaths
from cricket.types.image import Image, RegistryAuth

MIB = 1 << 20


class PullLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds of one pull. Times in seconds, sizes in bytes; `stall` 0 waits for ever."""

    concurrent_downloads: int = 3
    stall: float = 60.0
    manifest_size: int = 4 * MIB
    config_size: int = 8 * MIB
    attempts: int = 5
    backoff: float = 0.5
    patience: float = 60.0


class PullRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line on the worker's stdin; when stdin ends, the worker does.

    `references` are canonical, tried in order. `known` maps them to the digests that the index has for them: when the
    registry still says one of these, nothing else is asked. `platform` like "linux/amd64", "" for this machine.
    `lease` is held by the daemon ("": the worker makes its own), `parent` the daemon's pid.
    """

    references: tuple[str, ...]
    root: str
    registries: RegistryPaths = RegistryPaths()
    auth: RegistryAuth | None = None
    auth_files: tuple[str, ...] = ()
    known: dict[str, tuple[str, ...]] = {}
    platform: str = ""
    limits: PullLimits = PullLimits()
    lease: str = ""
    parent: int = 0


class LayerProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """`state`: waiting, downloading, downloaded, unpacking, done or here (nothing was to do). Sizes in bytes."""

    digest: str
    size: int
    received: int = 0
    state: str = "waiting"


class PullProgress(msgspec.Struct, frozen=True, omit_defaults=True, tag="progress"):
    """A snapshot. `stage`: waiting, resolving, fetching, fetched or recording; `note` tells of what was given up."""

    reference: str
    stage: str = "waiting"
    layers: tuple[LayerProgress, ...] = ()
    note: str = ""

    @property
    def received(self) -> int:
        """Bytes of layers received so far, including those of earlier attempts."""
        return sum(layer.received for layer in self.layers)

    @property
    def total(self) -> int:
        """Bytes of the layers that are to be downloaded."""
        return sum(layer.size for layer in self.layers if layer.state != "here")


class PullResult(msgspec.Struct, frozen=True, omit_defaults=True, tag="result"):
    """Success. `image` has neither tags nor digests; None when `known` is still right.

    `digest` is what the reference stands for (an index or a manifest); `chains` are the layers' chain ids, bottom
    first; `downloaded` bytes came over the network.
    """

    reference: str
    digest: str
    image: Image | None = None
    chains: tuple[str, ...] = ()
    downloaded: int = 0
    endpoint: str = ""


class PullFailure(msgspec.Struct, frozen=True, omit_defaults=True, tag="error"):
    """An error on its way to the daemon; `kind` names a class of `cricket.errors`."""

    kind: str
    what: str
    where: str = ""
    todo: str = ""


Message = PullProgress | PullResult | PullFailure


def failure(error: CricketError) -> PullFailure:
    """An error with its causes folded into `what`."""
    kind = next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)
    what, cause, seen = error.what, error.__cause__, 0
    while cause is not None and seen < 5:
        words = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
        what += f": {words or type(cause).__name__}"
        cause, seen = (None if isinstance(cause, CricketError) else cause.__cause__), seen + 1
    return PullFailure(kind, what, error.where, error.todo)


def raised(message: PullFailure) -> CricketError:
    """The error again."""
    kind = getattr(errors, message.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, CricketError)):
        kind = Internal
    return kind(message.what, where=message.where, todo=message.todo)
