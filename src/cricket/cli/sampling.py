"""Tables of figures that are measured over a time: once, or again and again in place."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from cricket.cli.output import Styled, colourful, print_table
from cricket.cli.top.columns import percent
from cricket.cli.top.glyphs import mood
from cricket.cli.top.meter import Meter
from cricket.cli.top.model import Frame, Usage
from cricket.cli.top.source import Source
from cricket.cli.words import memory, size
from cricket.client.connection import Client

_COLOURS = {"warn": "yellow", "bad": "red"}


class Table(NamedTuple):
    """What `print_table` takes."""

    header: Sequence[str]
    rows: Iterable[Sequence[str]]
    right: str


def show(args: argparse.Namespace, client: Client, table: Callable[[Frame], Table]) -> None:
    """Measure over `args.interval` and print; with `args.watch` until interrupted, on a terminal always at its top.

    An interval of 0 is one measurement: its figures are what the runtime says itself. Raises as `Client.call` does.
    """
    source, meter = Source(client), Meter(args.interval)
    frame = meter.frame(source.read())
    while True:
        if args.interval or args.watch:
            time.sleep(args.interval or 1.0)
            frame = meter.frame(source.read())
        page = _page(table(frame))
        if args.watch and sys.stdout.isatty():
            # Written over what is there and not after erasing it: that would flicker.
            page = "\x1b[H" + page.replace("\n", "\x1b[K\n") + "\x1b[J" if colourful() else page
        print(page, end="", flush=True)
        if not args.watch:
            return


class _Page(io.StringIO):
    """Text that is going to standard output."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def _page(table: Table) -> str:
    page = _Page(sys.stdout.isatty())
    with contextlib.redirect_stdout(page):
        print_table(table.header, table.rows, right=table.right)
    return page.getvalue()


def usage_cells(usage: Usage) -> tuple[str, str, str, str]:
    """CPU%, MEMORY, LIMIT and USED, in the colours of `cricket top`."""
    cpu, used, share = percent(usage.cpu), _known(usage.memory, memory), usage.memory_share
    limit = memory(usage.memory_limit) if usage.memory_limit else "-"
    return (
        _coloured(cpu, usage.cpu_share),
        _coloured(used, share),
        limit,
        _coloured(f"{share:.0%}", share) if share is not None else "-",
    )


def bytes_cell(value: float | None) -> str:
    """Bytes of disks and networks."""
    return _known(value, size)


def _known(value: float | None, word: Callable[[float], str]) -> str:
    return "-" if value is None else word(value)


def _coloured(text: str, share: float | None) -> str:
    colour = _COLOURS.get(mood(share)) if share is not None else None
    return Styled(text, colour) if colour else text
