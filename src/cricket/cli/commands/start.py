"""Start containers that were created."""

from __future__ import annotations

import argparse

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.client.connection import Client

EXAMPLES = """\
  cricket start web
  cricket start 3f2a 9c01
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", nargs="+", help="id or name")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Start each."""
    with connect(args) as client:
        return each(args, args.container, lambda name: _start(client, name))


def _start(client: Client, name: str) -> str:
    container_id = str(find.container(client, name).id)
    client.call("StartContainer", container_id=container_id)
    return container_id
