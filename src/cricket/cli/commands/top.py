"""Show what the node's pods use, live over the whole terminal: CPU, memory and limits, network, disk, restarts.

Keys choose, sort, filter and fold pods, and open a pane with events and the last lines of the log; ? lists them. When
the runtime goes away, it is tried again until it is back.

Where there is no terminal (or TERM is dumb), each frame is printed as text below the one before.
"""

from __future__ import annotations

import argparse

from cricket.cli import options

EXAMPLES = """\
  cricket top
  cricket top --sort memory --interval 5 shop
  cricket top --once
  cricket top -n 3 -o json | jq .node.cpuPercent
"""
SORTS = ("cpu", "memory", "network", "disk", "restarts", "age", "name")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("filter", nargs="?", default="", help="only pods and containers with this in their names")
    parser.add_argument("-s", "--sort", choices=SORTS, default="cpu", help="order (default: cpu)")
    parser.add_argument("--interval", type=_interval, default=1.0, metavar="SPAN", help="between frames (default: 1s)")
    parser.add_argument("-n", "--count", type=_count, default=0, metavar="COUNT", help="end after so many frames")
    parser.add_argument("--once", action="store_const", dest="count", const=1, help="print one frame and end")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """On a terminal live, else frame by frame."""
    import os
    import sys

    from cricket.cli.connect import connect
    from cricket.cli.top import glyphs
    from cricket.cli.top.view import View

    view = View(sort=args.sort, filter=args.filter)
    marks = glyphs.of_encoding(sys.stdout.encoding)
    screen = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and args.count != 1
    if not screen or args.output != "table":
        from cricket.cli.top.frames import print_frames

        return print_frames(args, view, marks)
    from cricket.cli.output import colourful
    from cricket.cli.top.fullscreen import Canvas
    from cricket.cli.top.live import Live

    keyboard = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    canvas = Canvas(sys.stdout.fileno(), keyboard, colours=colourful(), encoding=sys.stdout.encoding)
    live = Live(canvas, keyboard, marks, args.interval, view)
    return live.run(lambda: connect(args), connect(args), args.count)


def _interval(text: str) -> float:
    span = options.seconds(text)
    if span < 0.1:
        raise argparse.ArgumentTypeError("it cannot measure more often than every 0.1s")
    return span


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames")
    return int(text)
