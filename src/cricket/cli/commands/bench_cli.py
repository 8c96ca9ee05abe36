"""Measure how long commands take from exec to exit; with a daemon that answers, also one that asks it."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.forms import print_document
from cricket.cli.output import print_table
from cricket.client.endpoint import probe, socket_path
from cricket.client.errors import UnreachableError

EXAMPLES = """\
  cricket bench cli
  cricket bench cli --runs 30
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--runs", type=int, default=10, help="runs of each command (default: 10)")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from cricket.bench import cli

    try:
        endpoint = options.endpoint(args)
        probe(socket_path(endpoint))
    except UnreachableError:
        endpoint = ""
    found = cli.starts(endpoint, args.runs)
    if not print_document(args.output, [{"command": c, "min_ms": low, "median_ms": mid} for c, low, mid in found]):
        print_table(
            ("COMMAND", "MIN ms", "MEDIAN ms"),
            [(c, f"{low:.1f}", f"{mid:.1f}") for c, low, mid in found],
            right="MIN ms MEDIAN ms",
        )
    return 0
