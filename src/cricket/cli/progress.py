"""The states of a pull, drawn in place on a terminal; elsewhere only a change of stage is worth a line."""

from __future__ import annotations

import os
import threading
from typing import Any, TextIO

from cricket.cli.words import short, size

_BAR = 24
_MOST = 12
"""Layers that are drawn; of more, those that are done make room."""
_WORDS = {"here": "already here", "done": "done", "waiting": "waiting"}


class Display:
    """Draws states; from any thread, until it is closed."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._terminal = out, out.isatty()
        self._lines, self._said, self._closed = 0, ("", ""), False
        self._lock = threading.Lock()

    def show(self, state: Any) -> None:
        """Draw a PullProgressResponse."""
        with self._lock:
            if self._closed:
                return
            if self._terminal:
                self._draw(lines(state, self._width()))
            elif (state.stage, state.note) != self._said and state.stage not in ("waiting", "done", "failed"):
                self._said = (state.stage, state.note)
                self._write(f"{headline(state)}\n")

    def close(self) -> None:
        """Take the drawing away: the result is told by others. Idempotent."""
        with self._lock:
            self._draw([])
            self._closed = True

    def _draw(self, drawing: list[str]) -> None:
        up = f"\x1b[{self._lines}A" if self._lines else ""
        if up or drawing:
            self._write(f"{up}\r\x1b[J" + "".join(f"{line}\n" for line in drawing))
        self._lines = len(drawing)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns or 80
        except OSError:
            return 80


def headline(state: Any) -> str:
    """The stage and what there is to say of it."""
    done = sum(layer.state in ("done", "here") for layer in state.layers)
    layers = f", {done} of {len(state.layers)} layers" if state.layers else ""
    note = f": {state.note}" if state.note else ""
    return f"{state.reference}: {state.stage}{layers}{note}"


def lines(state: Any, width: int) -> list[str]:
    """The whole drawing, no line wider than `width`."""
    received = sum(layer.received for layer in state.layers)
    total = sum(layer.size for layer in state.layers if layer.state != "here")
    head = headline(state) + (f" ({size(received)} of {size(total)})" if total else "")
    layers = list(state.layers)
    if len(layers) > _MOST:
        layers = [layer for layer in layers if layer.state not in ("done", "here")][:_MOST]
    return [line[: width - 1] for line in (head, *map(_layer, layers))]


def _layer(layer: Any) -> str:
    name = f"  {short(layer.digest)}  {size(layer.size):>7}"
    if layer.state in _WORDS:
        return f"{name}  {_WORDS[layer.state]}"
    share = min(1.0, layer.received / layer.size) if layer.size else 0.0
    full = int(share * _BAR)
    return f"{name}  [{'=' * full}{' ' * (_BAR - full)}] {share:4.0%} {layer.state}"
