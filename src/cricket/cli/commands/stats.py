"""Show what running containers use: CPU (percent of one core), memory and its limit, writable layer.

CPU is measured over --interval; with --interval 0 it is what the runtime measured last. `cricket top` shows more of it,
live.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.client.connection import Client

EXAMPLES = """\
  cricket stats
  cricket stats -w --interval 5 web
  cricket stats -o json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", nargs="?", help="only this one, by id or name")
    parser.add_argument("--pod", metavar="POD", help="only those of this pod")
    options.add_labels(parser)
    options.add_sampling(parser)
    parser.add_argument(
        "--no-stream", dest="watch", action="store_false", default=False, help="once, as docker says it; the default"
    )
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    with connect(args) as client:
        filters: dict[str, Any] = {"label_selector": dict(args.label)}
        if args.container:
            filters["id"] = find.container(client, args.container, running=True).id
        if args.pod:
            filters["pod_sandbox_id"] = find.sandbox(client, args.pod).id
        if args.output != "table":
            print_document(args.output, client.call("ListContainerStats", filter=filters), items="stats")
            return 0
        _show(args, client, filters)
    return 0


def _show(args: argparse.Namespace, client: Client, filters: dict[str, Any]) -> None:
    from cricket.cli.sampling import Table, bytes_cell, show, usage_cells
    from cricket.cli.top.model import Frame
    from cricket.cli.words import short

    def table(frame: Frame) -> Table:
        wanted = {item.id for item in client.call("ListContainers", filter=filters).containers}
        found = [(c, p) for p in frame.pods for c in p.containers if c.id in wanted and c.state == "Running"]
        rows = [
            (short(c.id), c.name, p.name, *usage_cells(c.usage), bytes_cell(c.usage.disk), str(c.usage.inodes or 0))
            for c, p in sorted(found, key=lambda pair: (pair[0].name, pair[1].key))
        ]
        header = ("CONTAINER", "NAME", "POD", "CPU%", "MEMORY", "LIMIT", "USED", "DISK", "INODES")
        return Table(header, rows, "CPU% MEMORY LIMIT USED DISK INODES")

    show(args, client, table)
