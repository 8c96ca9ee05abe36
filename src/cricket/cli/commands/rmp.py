"""Remove pod sandboxes with their containers. One that is ready is only removed with -f, which stops it first."""

from __future__ import annotations

import argparse

from cricket._proto.cri import api_pb2
from cricket.cli import find, imagelogs, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.errors import UsageError
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition

EXAMPLES = """\
  cricket rmp web
  cricket rmp -f web
  cricket rmp -fa            every pod of this node
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", nargs="*", help="id, name or NAMESPACE/NAME")
    parser.add_argument("-f", "--force", action="store_true", help="also when it is ready")
    parser.add_argument("-a", "--all", action="store_true", help="all pods; needs -f when some are ready")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Remove each."""
    if bool(args.pod) == args.all:
        raise UsageError("name pods, or give --all", todo="see `cricket rmp --help`")
    with connect(args) as client:
        names = args.pod or [item.id for item in client.call("ListPodSandbox").items]
        return each(args, names, lambda name: _remove(client, name, args.force))


def _remove(client: Client, name: str, force: bool) -> str:
    item = find.sandbox(client, name)
    if item.state == api_pb2.SANDBOX_READY and not force:
        raise FailedPrecondition("the pod is ready", where=name, todo="stop it first with `cricket stopp`, or use -f")
    # Also one that is not ready may have something left to stop, and stopping twice is no error.
    client.call("StopPodSandbox", pod_sandbox_id=item.id)
    client.call("RemovePodSandbox", pod_sandbox_id=item.id)
    imagelogs.remove(item)
    return str(item.id)
