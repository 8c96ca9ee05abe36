"""The states of a pull, drawn in place on a terminal; elsewhere only a change of stage is worth a line."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, TextIO

from cricket.cli.words import short, size, span

_BAR = 24
_MOST = 12
"""Layers that are drawn; of more, those that are done make room."""
_TURN, _MARKS = 0.1, "|/-\\"
_WORDS = {"here": "already here", "done": "done", "waiting": "waiting"}


class Display:
    """Draws the states of pulls; from any thread, until it is closed. A pull that no state is known of, as on runtimes
    that tell nothing, has a mark that turns."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._terminal = out, out.isatty()
        self._lines, self._said, self._closed = 0, dict[str, tuple[str, str]](), threading.Event()
        self._pulls: dict[str, _Pull] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()
        self._turning: threading.Thread | None = None

    def begin(self, name: str) -> None:
        """A pull begins, and is drawn even if no state ever comes."""
        with self._lock:
            self._pulls.setdefault(name, _Pull(name, time.monotonic()))
            if self._terminal and self._turning is None:
                self._turning = threading.Thread(target=self._turn, daemon=True)
                self._turning.start()

    def show(self, state: Any, name: str = "") -> None:
        """Draw a PullProgressResponse, of the pull that was begun under this name."""
        with self._lock:
            name = name or state.reference
            if self._closed.is_set() or name in self._ended:
                return
            self._pulls.setdefault(name, _Pull(name, time.monotonic())).state = state
            said = state.stage, state.note
            if self._terminal:
                self._draw(self._drawing())
            elif said != self._said.get(name) and state.stage not in ("waiting", "done", "failed"):
                self._said[name] = said
                self._write(f"{headline(state)}\n")

    def end(self, name: str) -> None:
        """A pull has ended: its lines go."""
        with self._lock:
            self._pulls.pop(name, None)
            self._ended.add(name)
            if self._terminal and not self._closed.is_set():
                self._draw(self._drawing())

    def close(self) -> None:
        """Take the drawing away: the result is told by others. Idempotent."""
        with self._lock:
            self._draw([])
            self._closed.set()
        if self._turning is not None:
            self._turning.join()

    def _turn(self) -> None:
        while not self._closed.wait(_TURN):
            with self._lock:
                if not self._closed.is_set() and any(pull.state is None for pull in self._pulls.values()):
                    self._draw(self._drawing())

    def _drawing(self) -> list[str]:
        """As much as the terminal has room for."""
        width, height = self._size()
        found: list[str] = []
        for pull in self._pulls.values():
            if pull.state is None:
                found.append(pull.turning(time.monotonic())[: width - 1])
            else:
                found += lines(pull.state, width, most=max(2, _MOST // len(self._pulls)))
        return found[: height - 1]

    def _draw(self, drawing: list[str]) -> None:
        up = f"\x1b[{self._lines}A" if self._lines else ""
        if up or drawing:
            self._write(f"{up}\r\x1b[J" + "".join(f"{line}\n" for line in drawing))
        self._lines = len(drawing)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        return size.columns or 80, size.lines or 24


class _Pull:
    """One that is under way."""

    def __init__(self, name: str, began: float) -> None:
        self.name, self.state = name, None  # type: str, Any
        self._began = began

    def turning(self, now: float) -> str:
        return (
            f"{_MARKS[int((now - self._began) / _TURN) % len(_MARKS)]} {self.name}: pulling, {span(now - self._began)}"
        )


def headline(state: Any) -> str:
    """The stage and what there is to say of it."""
    done = sum(layer.state in ("done", "here") for layer in state.layers)
    layers = f", {done} of {len(state.layers)} layers" if state.layers else ""
    note = f": {state.note}" if state.note else ""
    return f"{state.reference}: {state.stage}{layers}{note}"


def lines(state: Any, width: int, most: int = _MOST) -> list[str]:
    """The whole drawing, no line wider than `width`; `most` layers."""
    received = sum(layer.received for layer in state.layers)
    total = sum(layer.size for layer in state.layers if layer.state != "here")
    head = headline(state) + (f" ({size(received)} of {size(total)})" if total else "")
    layers = list(state.layers)
    if len(layers) > most:
        layers = [layer for layer in layers if layer.state not in ("done", "here")][:most]
    return [line[: width - 1] for line in (head, *map(_layer, layers))]


def _layer(layer: Any) -> str:
    name = f"  {short(layer.digest)}  {size(layer.size):>7}"
    if layer.state in _WORDS:
        return f"{name}  {_WORDS[layer.state]}"
    share = min(1.0, layer.received / layer.size) if layer.size else 0.0
    full = int(share * _BAR)
    return f"{name}  [{'=' * full}{' ' * (_BAR - full)}] {share:4.0%} {layer.state}"
