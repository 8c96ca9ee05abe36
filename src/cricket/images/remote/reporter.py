"""Progress of a pull, gathered from its threads and handed on at most a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from cricket.images.remote.manifest import Descriptor
from cricket.images.remote.messages import LayerProgress, PullProgress

_INTERVAL = 0.2


class Reporter:
    """Holds the newest state; `send` gets snapshots, never two at a time."""

    def __init__(self, send: Callable[[PullProgress], None]) -> None:
        self._send, self._lock = send, threading.Lock()
        self._reference, self._stage, self._note = "", "waiting", ""
        self._layers: dict[str, LayerProgress] = {}
        self._sent = 0.0
        self.downloaded = 0

    def stage(self, name: str, reference: str = "", note: str = "") -> None:
        """A new stage begins: told at once."""
        with self._lock:
            self._stage, self._reference = name, reference or self._reference
            self._note = note or self._note
            self._tell(force=True)

    def layers(self, items: Iterable[Descriptor], here: Iterable[str]) -> None:
        """The layers are known; those with a digest in `here` need nothing."""
        present = set(here)
        with self._lock:
            self._layers = {
                item.digest: LayerProgress(item.digest, item.size, 0, "here" if item.digest in present else "waiting")
                for item in items
            }
            self._tell(force=True)

    def state(self, digest: str, state: str) -> None:
        """A layer is being unpacked, or done."""
        with self._lock:
            layer = self._layers[digest]
            self._layers[digest] = LayerProgress(digest, layer.size, layer.received, state)
            self._tell(force=state == "done")

    def received(self, digest: str, total: int, new: int) -> None:
        """`total` bytes of a layer are here, `new` of them came just now."""
        with self._lock:
            self.downloaded += new
            layer = self._layers[digest]
            state = layer.state
            if state in ("waiting", "downloading"):
                state = "downloaded" if total >= layer.size else "downloading"
            self._layers[digest] = LayerProgress(digest, layer.size, total, state)
            self._tell()

    def _tell(self, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._sent >= _INTERVAL:
            self._sent = now
            self._send(PullProgress(self._reference, self._stage, tuple(self._layers.values()), self._note))
