"""List pod sandboxes, newest first."""

from __future__ import annotations

import argparse
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.output import Styled, print_json, print_table
from cricket.cli.words import age, short

EXAMPLES = """\
  cricket pods                        all sandboxes
  cricket pods --state ready -q       the ids of those that are ready
  cricket pods --label app=web -o json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("id", nargs="?", default="", help="only the one with this id or prefix")
    parser.add_argument("--state", choices=("ready", "notready"), help="only those in this state")
    parser.add_argument("--namespace", metavar="NAME", help="only those of this namespace")
    options.add_labels(parser)
    options.add_quiet(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    filters: dict[str, Any] = {"id": args.id, "label_selector": dict(args.label)}
    if args.state:
        filters["state"] = {"state": f"SANDBOX_{args.state.upper()}"}
    with connect(args) as client:
        answer = client.call("ListPodSandbox", filter=filters)
    items = [item for item in answer.items if args.namespace in (None, item.metadata.namespace)]
    items.sort(key=lambda item: -item.created_at)
    if args.output == "json":
        print_json(api_pb2.ListPodSandboxResponse(items=items))
    elif args.quiet:
        print("".join(f"{item.id}\n" for item in items), end="")
    else:
        header = ("POD", "NAMESPACE", "NAME", "STATE", "AGE", "ATTEMPT", "RUNTIME")
        print_table(header, map(_row, items), right="ATTEMPT")
    return 0


def _row(item: Any) -> tuple[str, ...]:
    ready = item.state == api_pb2.SANDBOX_READY
    return (
        short(item.id),
        item.metadata.namespace,
        item.metadata.name,
        Styled("Ready", "green") if ready else Styled("NotReady", "grey"),
        age(item.created_at),
        str(item.metadata.attempt),
        item.runtime_handler or "(default)",
    )
