"""The live view: keys, signals and measurements come in, pictures go out."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from cricket.cli.errors import INTERRUPTED, OK
from cricket.cli.top.fullscreen import Canvas
from cricket.cli.top.glyphs import Glyphs
from cricket.cli.top.keys import keys
from cricket.cli.top.model import Frame
from cricket.cli.top.screenful import Scene, screenful
from cricket.cli.top.view import View, place, press, rows
from cricket.cli.top.watcher import Watcher
from cricket.client.connection import Client

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLOCK = 1.0
"""Seconds after which the picture is looked at again without news: how long a runtime has been gone is on it."""


class Live:
    """One session at the terminal."""

    def __init__(self, canvas: Canvas, keyboard: int | None, glyphs: Glyphs, interval: float, view: View) -> None:
        self._canvas, self._keyboard, self._glyphs, self._interval = canvas, keyboard, glyphs, interval
        self._view, self._page, self._ended = view, 1, -1
        self._frames, self._shown = 0, Frame(time=time.time_ns())
        self._wake_in, self._wake_out = -1, -1
        self._resized = False

    def run(self, connect: Callable[[], Client], client: Client, count: int) -> int:
        """Show frames until the user leaves, a signal comes, or `count` (0: no limit) were shown; the exit code.

        `client` is closed in the end; `connect` makes another one when its runtime has gone."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._waking())
            watcher = Watcher(connect, self._interval, self._wake)
            stack.callback(watcher.stop)
            stack.enter_context(self._signals())
            stack.enter_context(self._canvas.taken())
            watcher.start(client)
            while self._ended < 0 and not self._view.over:
                if self._wait():
                    self._keys()
                self._show(watcher)
                if count and self._frames >= count:
                    break
        return self._code()

    def _code(self) -> int:
        if self._ended < 0:
            return OK
        return INTERRUPTED if self._ended == signal.SIGINT else 128 + self._ended

    def _show(self, watcher: Watcher) -> None:
        news = watcher.news
        if news.bug is not None:
            raise news.bug
        if news.frame is None and not news.trouble:
            return
        if news.frame is not None and news.frame is not self._shown:
            self._shown, self._frames = news.frame, self._frames + 1
        if self._resized:
            self._resized = False
            self._canvas.clear()
        now = time.time_ns()
        columns, height = self._canvas.size()
        scene = Scene(
            frame=self._shown,
            view=self._view,
            interval=self._interval,
            clock=now,
            logs=news.logs if news.of == self._wanted(watcher, height) else (),
            trouble=news.trouble,
            silent=(now - self._shown.time) / 1e9,
        )
        picture = screenful(scene, columns, height, self._glyphs)
        self._page = picture.page
        with contextlib.suppress(OSError):  # hung up: SIGHUP comes
            self._canvas.draw(picture.lines, picture.chosen)

    def _wanted(self, watcher: Watcher, height: int) -> str:
        """Let the log of what is chosen be read while its details are shown; its id."""
        shown = rows(self._shown, self._view) if self._view.details else []
        if not shown:
            watcher.want("", (), 0)
            return ""
        row = shown[place(self._view, shown)]
        watcher.want(row.id, (row.container,) if row.container else row.pod.containers, height)
        return row.id

    def _wait(self) -> bool:
        """Until a key (True), news, a signal, or the next second."""
        fds = [self._wake_in] + ([self._keyboard] if self._keyboard is not None else [])
        ready, _, _ = select.select(fds, [], [], _CLOCK)
        if self._wake_in in ready:
            os.read(self._wake_in, 4096)
        return self._keyboard in ready

    def _keys(self) -> None:
        assert self._keyboard is not None
        try:
            data = os.read(self._keyboard, 4096)
        except OSError:
            data = b""
        if not data:  # the terminal has hung up
            self._ended = signal.SIGHUP
        for key in keys(data):
            if not self._view.over:
                self._view = press(self._view, key, self._shown, self._page)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake; closed: over
            os.write(self._wake_out, b"\0")

    @contextlib.contextmanager
    def _waking(self) -> Iterator[None]:
        self._wake_in, self._wake_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            yield
        finally:
            wake, self._wake_out = self._wake_out, -1
            os.close(wake)
            os.close(self._wake_in)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals end the session in order, stop it for a while, or tell of another size."""
        handlers = {number: self._end for number in _ENDS} | {
            signal.SIGTSTP: self._pause,
            signal.SIGWINCH: self._resize,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._ended = number

    def _resize(self, number: int, _: FrameType | None) -> None:
        self._resized = True

    def _pause(self, number: int, _: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal, until it brings us back."""
        self._canvas.leave()
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
        self._canvas.enter()
