"""Stop containers: their stop signal first, SIGKILL when the time is over."""

from __future__ import annotations

import argparse
import math

from cricket._proto.cri import api_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.errors import UsageError
from cricket.client.connection import Client

EXAMPLES = """\
  cricket stop web           10 seconds to end by itself
  cricket stop -t 0 web      SIGKILL at once
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", nargs="*", help="id or name")
    parser.add_argument("-a", "--all", action="store_true", help="all that run")
    parser.add_argument(
        "-t", "--time", type=options.seconds, default=10.0, metavar="SECONDS", help="time before SIGKILL (default: 10)"
    )
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Stop each."""
    if bool(args.container) == args.all:
        raise UsageError("name containers, or give --all", todo="see `cricket stop --help`")
    with connect(args) as client:
        names = args.container or [
            item.id for item in client.call("ListContainers").containers if item.state == api_pb2.CONTAINER_RUNNING
        ]
        return each(args, names, lambda name: stop(client, name, args.time))


def stop(client: Client, name: str, seconds: float) -> str:
    """Stop one; returns its id. CRI knows only whole seconds: fractions are rounded up."""
    container_id = str(find.container(client, name).id)
    client.call("StopContainer", container_id=container_id, timeout=math.ceil(seconds))
    return container_id
