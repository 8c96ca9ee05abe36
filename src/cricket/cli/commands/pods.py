"""List pod sandboxes, newest first."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import details, filters, listing, options
from cricket.cli.connect import connect
from cricket.cli.find import sandbox_names
from cricket.cli.output import Styled
from cricket.cli.words import age
from cricket.client.connection import Client

EXAMPLES = """\
  cricket pods                             all sandboxes
  cricket pods --state ready -q            the ids of those that are ready
  cricket pods --label app=web -o wide     with addresses and pids
  cricket pods -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
"""
HEADER = ("POD", "NAMESPACE", "NAME", "STATE", "AGE", "ATTEMPT", "RUNTIME")
WIDE = ("IP", "PID", "RUNNING", "UID")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    filters.add_filters(parser, filters.SANDBOX_STATES)
    parser.add_argument("-A", "--all-namespaces", action="store_true", help=argparse.SUPPRESS)  # kubectl's
    listing.add_newest(parser)
    listing.add_listing(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    fits = filters.wanted(args, filters.sandbox_tests())
    with connect(args) as client:
        items = listing.arranged(args, filter(fits, client.call("ListPodSandbox").items))
        answer = api_pb2.ListPodSandboxResponse(items=items)
        if listing.printed(args, answer, "items", lambda item: sandbox_names(item)[-1]):
            return 0
        rows = [_row(args, item) for item in items]
        if args.output == "wide":
            rows = [(*row, *more) for row, more in zip(rows, _more(client, items), strict=True)]
    header = (*HEADER, *WIDE) if args.output == "wide" else HEADER
    listing.table(args, header, rows, right="ATTEMPT PID RUNNING")
    return 0


def _row(args: argparse.Namespace, item: Any) -> tuple[str, ...]:
    ready = item.state == api_pb2.SANDBOX_READY
    return (
        listing.ids(args)(item.id),
        item.metadata.namespace,
        item.metadata.name,
        Styled("Ready", "green") if ready else Styled("NotReady", "grey"),
        age(item.created_at),
        str(item.metadata.attempt),
        item.runtime_handler or "(default)",
    )


def _more(client: Client, items: list[Any]) -> list[tuple[str, ...]]:
    """The columns of -o wide."""
    containers = client.call("ListContainers").containers
    all_of = Counter(item.pod_sandbox_id for item in containers)
    running = Counter(item.pod_sandbox_id for item in containers if item.state == api_pb2.CONTAINER_RUNNING)
    return [
        (*details.sandbox(client, item.id), f"{running[item.id]}/{all_of[item.id]}", item.metadata.uid)
        for item in items
    ]
