"""Measuring beside the screen: a thread that asks the runtime, and goes on when it is gone for a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cricket.cli.top.logs import last_lines
from cricket.cli.top.meter import Meter
from cricket.cli.top.model import Container, Frame, LogText
from cricket.cli.top.source import Source
from cricket.client.connection import Client
from cricket.errors import CricketError

_REST = 2
"""A measurement that takes long is followed by a pause of at least this many times its length."""

_GRACE = 1.0


class News(NamedTuple):
    """What the thread last knew: a frame, and why there is none newer. `bug`: what has ended the thread."""

    frame: Frame | None = None
    trouble: str = ""
    logs: tuple[LogText, ...] = ()
    of: str = ""
    bug: Exception | None = None


class Watcher:
    """Calls `tell` from its thread whenever there is news. `connect` makes a new client."""

    def __init__(self, connect: Callable[[], Client], interval: float, tell: Callable[[], None]) -> None:
        self._connect, self._interval, self._tell = connect, interval, tell
        self._meter = Meter(interval)
        self._source: Source | None = None
        self._wake, self._over = threading.Event(), False
        self._wanted: tuple[str, tuple[Container, ...], int] = ("", (), 0)
        self._thread = threading.Thread(target=self._run, name="top", daemon=True)
        self.news = News()

    def start(self, client: Client) -> None:
        """Begin with a connection that is there, and is ours from now on."""
        self._source = Source(client)
        self._thread.start()

    def stop(self) -> None:
        """End. A call under way is waited for a moment and then left to the end of the process. Idempotent."""
        self._over = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(_GRACE)

    def want(self, key: str, containers: Sequence[Container], lines: int) -> None:
        """Whose log is to be read: the last `lines` of these containers, under the name `key`; "" for nothing."""
        wanted = (key, tuple(containers), lines)
        before, self._wanted = self._wanted, wanted
        if (before[0], before[2]) != (key, lines):
            self._wake.set()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as bug:  # raised again where somebody sees it
            self.news = self.news._replace(bug=bug)
            self._tell()
        finally:
            self._disconnect()

    def _work(self) -> None:
        due = 0.0
        while not self._over:
            self._wake.clear()
            if time.monotonic() >= due:
                began = time.monotonic()
                self._measure()
                due = max(began + self._interval, time.monotonic() + _REST * (time.monotonic() - began))
            self._read_logs()
            if not self._over:
                self._tell()
            self._wake.wait(max(0.0, due - time.monotonic()))

    def _measure(self) -> None:
        try:
            if self._source is None:
                self._source = Source(self._connect())
            reading = self._source.read()
        except CricketError as error:
            if not self._over:
                self.news = self.news._replace(trouble=f"{error.what} ({error.where})" if error.where else error.what)
            # The next time it is tried on a connection of its own.
            self._disconnect()
            return
        self.news = self.news._replace(frame=self._meter.frame(reading), trouble="")

    def _read_logs(self) -> None:
        key, containers, lines = self._wanted
        self.news = self.news._replace(logs=last_lines(containers, lines) if key else (), of=key)

    def _disconnect(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            with contextlib.suppress(Exception):  # it is of no more use, whatever state it is in
                source.client.__exit__(None, None, None)
