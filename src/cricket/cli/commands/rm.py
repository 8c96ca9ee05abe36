"""Remove containers. One that runs is only removed with -f, which stops it at once."""

from __future__ import annotations

import argparse

from cricket._proto.cri import api_pb2
from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.errors import UsageError
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition

EXAMPLES = """\
  cricket rm web
  cricket rm -f web
  cricket rm --exited        all that do not run
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", nargs="*", help="id or name")
    parser.add_argument("-f", "--force", action="store_true", help="also when it runs")
    parser.add_argument("-a", "--all", action="store_true", help="all containers; needs -f when some run")
    parser.add_argument("--exited", action="store_true", help="all containers that have ended")
    # crictl removes logs and has this to keep them; here they are left to the kubelet, who has made the directory.
    parser.add_argument("-k", "--keep-logs", action="store_true", help=argparse.SUPPRESS)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Remove each."""
    if bool(args.container) + args.all + args.exited != 1:
        raise UsageError("name containers, or give one of --all and --exited", todo="see `cricket rm --help`")
    with connect(args) as client:
        names = args.container or [
            item.id
            for item in client.call("ListContainers").containers
            if args.all or item.state == api_pb2.CONTAINER_EXITED
        ]
        return each(args, names, lambda name: _remove(client, name, args.force))


def _remove(client: Client, name: str, force: bool) -> str:
    item = find.container(client, name)
    if item.state == api_pb2.CONTAINER_RUNNING:
        if not force:
            raise FailedPrecondition("the container runs", where=name, todo="stop it first, or use -f")
        client.call("StopContainer", container_id=item.id, timeout=0)
    client.call("RemoveContainer", container_id=item.id)
    return str(item.id)
