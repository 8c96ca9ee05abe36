"""List containers, newest first; those that run, or with -a all of them."""

from __future__ import annotations

import argparse
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.output import Styled, print_json, print_table
from cricket.cli.words import age, short
from cricket.client.connection import Client
from cricket.errors import CricketError

EXAMPLES = """\
  cricket ps                     running containers
  cricket ps -a --pod web        all containers of the pod web
  cricket ps -q --state exited   ids of those that have ended
"""
STATES = ("created", "running", "exited", "unknown")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("id", nargs="?", default="", help="only the one with this id or prefix")
    parser.add_argument("-a", "--all", action="store_true", help="also those that do not run")
    parser.add_argument("--pod", metavar="POD", help="only those of this pod")
    parser.add_argument("--state", choices=STATES, help="only those in this state")
    options.add_labels(parser)
    options.add_quiet(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    filters: dict[str, Any] = {"id": args.id, "label_selector": dict(args.label)}
    state = args.state or ("" if args.all else "running")
    if state:
        filters["state"] = {"state": f"CONTAINER_{state.upper()}"}
    with connect(args) as client:
        if args.pod:
            filters["pod_sandbox_id"] = find.sandbox(client, args.pod).id
        items = sorted(client.call("ListContainers", filter=filters).containers, key=lambda item: -item.created_at)
        if args.output == "json":
            print_json(api_pb2.ListContainersResponse(containers=items))
        elif args.quiet:
            print("".join(f"{item.id}\n" for item in items), end="")
        else:
            _print(client, items)
    return 0


def _print(client: Client, items: list[Any]) -> None:
    pods = {box.id: box.metadata.name for box in client.call("ListPodSandbox").items} if items else {}
    rows = [
        (
            short(item.id),
            item.metadata.name,
            pods.get(item.pod_sandbox_id, "(gone)"),
            _state(client, item),
            age(item.created_at),
            str(item.metadata.attempt),
            image_name(item.image),
        )
        for item in items
    ]
    print_table(("CONTAINER", "NAME", "POD", "STATE", "AGE", "ATTEMPT", "IMAGE"), rows, right="ATTEMPT")


def image_name(spec: Any) -> str:
    """An ImageSpec as its user wrote it; an id is shortened."""
    name = str(spec.user_specified_image or spec.image)
    return short(name) if name.startswith("sha256:") else name


def _state(client: Client, item: Any) -> str:
    if item.state == api_pb2.CONTAINER_RUNNING:
        return Styled("Running", "green")
    if item.state == api_pb2.CONTAINER_EXITED:
        try:
            code = client.call("ContainerStatus", container_id=item.id).status.exit_code
        except CricketError:  # removed since
            return Styled("Exited", "grey")
        return Styled(f"Exited ({code})", "red" if code else "grey")
    return Styled("Created" if item.state == api_pb2.CONTAINER_CREATED else "Unknown", "yellow")
