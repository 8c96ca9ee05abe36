"""Progress of a pull, gathered from its threads and handed on at most a few times a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from cricket.images.remote.manifest import Descriptor
from cricket.images.remote.messages import LayerProgress, PullProgress

_INTERVAL = 0.2


class Reporter:
    """Holds the newest state; `send` gets snapshots, never two at a time.

    A thread of its own tells of received bytes, so that the last of a burst is told too.
    """

    def __init__(self, send: Callable[[PullProgress], None]) -> None:
        self._send, self._lock = send, threading.Lock()
        self._reference, self._stage, self._note = "", "waiting", ""
        self._layers: dict[str, LayerProgress] = {}
        self._news, self._ended = threading.Event(), threading.Event()
        self.downloaded = 0
        threading.Thread(target=self._tick, daemon=True).start()

    def close(self) -> None:
        """Tell no more. Idempotent."""
        with self._lock:
            self._ended.set()
            self._news.set()

    def stage(self, name: str, reference: str = "", note: str = "") -> None:
        """A new stage begins: told at once."""
        with self._lock:
            self._stage, self._reference = name, reference or self._reference
            self._note = note or self._note
            self._tell()

    def layers(self, items: Iterable[Descriptor], here: Iterable[str]) -> None:
        """The layers are known; those with a digest in `here` need nothing."""
        present = set(here)
        with self._lock:
            self._layers = {
                item.digest: LayerProgress(item.digest, item.size, 0, "here" if item.digest in present else "waiting")
                for item in items
            }
            self._tell()

    def state(self, digest: str, state: str) -> None:
        """A layer is being unpacked, or done."""
        with self._lock:
            layer = self._layers[digest]
            self._layers[digest] = LayerProgress(digest, layer.size, layer.received, state)
            self._news.set()

    def received(self, digest: str, total: int, new: int) -> None:
        """`total` bytes of a layer are here, `new` of them came just now."""
        with self._lock:
            self.downloaded += new
            layer = self._layers[digest]
            state = layer.state
            if state in ("waiting", "downloading"):
                state = "downloaded" if total >= layer.size else "downloading"
            self._layers[digest] = LayerProgress(digest, layer.size, total, state)
            self._news.set()

    def _tick(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self._news.wait()
            with self._lock:
                if self._news.is_set() and not self._ended.is_set():
                    self._tell()

    def _tell(self) -> None:
        self._news.clear()
        self._send(PullProgress(self._reference, self._stage, tuple(self._layers.values()), self._note))
