"""Frames printed one after the other, for pipes, dumb terminals and programs."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator

from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.top.glyphs import Glyphs
from cricket.cli.top.meter import Meter
from cricket.cli.top.model import Frame
from cricket.cli.top.plain import document, text
from cricket.cli.top.source import Source
from cricket.cli.top.view import View
from cricket.client.connection import Client
from cricket.errors import CricketError


def print_frames(args: argparse.Namespace, view: View, glyphs: Glyphs) -> int:
    """Print `args.count` frames (0: until interrupted), each measured over `args.interval`. A runtime that goes away in
    between is waited for."""
    for number, frame in enumerate(_frames(args), 1):
        if not print_document(args.output, document(frame, view), items="pods", stream=args.count != 1):
            columns = shutil.get_terminal_size((132, 24)).columns
            print("\n" * (number > 1) + text(frame, view, columns, glyphs, args.interval), end="", flush=True)
    return 0


def _frames(args: argparse.Namespace) -> Iterator[Frame]:
    meter, given = Meter(args.interval), 0
    client: Client | None = None
    first = True
    try:
        while not args.count or given < args.count:
            try:
                if client is None:
                    client = connect(args)
                    source = Source(client)
                frame = meter.frame(source.read())
                if not first:  # the first has no rates
                    given += 1
                    yield frame
                first = False
            except CricketError as error:
                if first or args.count == 1:
                    raise
                print(f"cricket: {error.what}; trying again", file=sys.stderr, flush=True)
                if client is not None:
                    client.__exit__(None, None, None)
                    client = None
            if not args.count or given < args.count:
                time.sleep(args.interval)
    finally:
        if client is not None:
            client.__exit__(None, None, None)
