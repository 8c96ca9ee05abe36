"""Attach to the first process of a running container: see what it writes and, with -i, write to it.

Only a container made with stdin takes input, and -t must be given for one that was made with a terminal.
Leave a terminal with Ctrl-P Ctrl-Q: the container goes on.
"""

from __future__ import annotations

import argparse

from cricket.cli import options, target
from cricket.cli.connect import connect

EXAMPLES = """\
  cricket attach web
  cricket attach -it shell
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-i", "--stdin", action="store_true", help="pass on standard input")
    parser.add_argument("-t", "--tty", action="store_true", help="the container has a terminal")
    parser.add_argument("-c", "--container", dest="name", default="", metavar="NAME", help="which of a pod")
    parser.add_argument("container", help="id or name")
    options.add_transport(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Attach until the container ends or is left."""
    with connect(args) as client:
        container_id = target.container(client, args.container, args.name, running=True).id
        url = client.call(
            "Attach", container_id=container_id, stdin=args.stdin, tty=args.tty, stdout=True, stderr=not args.tty
        ).url
    from cricket.cli.streaming import converse

    return converse(url, args, stdin=args.stdin, tty=args.tty, may_leave=True)
