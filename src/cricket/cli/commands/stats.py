"""Show what running containers use: CPU (percent of one core), memory, writable layer.

CPU is measured over --interval; with --interval 0 it is what the runtime measured last.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.output import print_json, print_table
from cricket.cli.sampling import Sample, cpu_percent, samples
from cricket.cli.words import memory, short, size
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
        if args.output == "json":
            print_json(api_pb2.ListContainerStatsResponse(stats=_measure(client, filters).values()))
            return 0
        for before, now in samples(lambda: _measure(client, filters), args.interval, args.watch):
            _print(before, now)
    return 0


def _measure(client: Client, filters: dict[str, Any]) -> Sample:
    return {item.attributes.id: item for item in client.call("ListContainerStats", filter=filters).stats}


def _print(before: Sample, now: Sample) -> None:
    rows = [
        (
            short(key),
            item.attributes.metadata.name,
            cpu_percent(before[key].cpu if key in before else None, item.cpu),
            memory(item.memory.working_set_bytes.value),
            size(item.writable_layer.used_bytes.value),
            str(item.writable_layer.inodes_used.value),
        )
        for key, item in sorted(now.items(), key=lambda entry: entry[1].attributes.metadata.name)
    ]
    print_table(("CONTAINER", "NAME", "CPU%", "MEMORY", "DISK", "INODES"), rows, right="CPU% MEMORY DISK INODES")
