"""The logs of several containers as one, while the containers come and go."""

from __future__ import annotations

import argparse
import time

from cricket.cli.logmerge import Merger
from cricket.cli.logsources import Source, Sources
from cricket.cli.logview import LogView, wanted
from cricket.client.errors import UnreachableError
from cricket.client.logrotated import older
from cricket.errors import NotFound

_LOOK_EVERY = 0.1
_ASK_EVERY = 1.0


def merged(sources: Sources, found: list[Source], args: argparse.Namespace, prefix: bool) -> None:
    """Show the logs of these containers, and with --follow what comes. Raises as `Sources` does."""
    view = LogView(timestamps=args.timestamps, prefixes=prefix)
    merger = Merger(view, wanted(args.since, args.until, args.stream))
    try:
        _begin(merger, found, args.tail)
        if args.follow:
            _follow(merger, sources, {source.id for source in found})
    finally:
        merger.close()


def _begin(merger: Merger, found: list[Source], tail: int | None) -> None:
    before = {}
    for source in found:
        try:
            missing = merger.add(source.id, source.label, source.path).open(tail)
        except NotFound:  # nothing was written yet; with one container that is an error
            if len(found) == 1:
                raise
            continue
        if missing != 0:
            before[source.id] = older(source.path, missing)
    merger.past(before)


def _follow(merger: Merger, sources: Sources, open_now: set[str]) -> None:
    """Until nothing can come any more. A daemon that is away for a while does not end it: the files are there."""
    asked, more = 0.0, True
    while open_now or more:
        merger.look()
        if time.monotonic() - asked >= _ASK_EVERY:
            asked = time.monotonic()
            try:
                come, alive, more = sources.fresh()
            except UnreachableError:
                continue
            for source in come:
                merger.add(source.id, source.label, source.path)
            open_now |= {source.id for source in come}
            for ended in open_now - alive:
                merger.end(ended)
            open_now &= alive
        time.sleep(_LOOK_EVERY)
