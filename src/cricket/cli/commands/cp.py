"""Copy files between a container and this host, or between containers.

A directory goes into the destination when that exists, and becomes it when not; with a trailing /. its contents go
there. - is a tar archive on standard output or input. It is done with the container's own tar; where the image has
none, as root on its node, through the node.
"""

from __future__ import annotations

import argparse
import sys

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.errors import UsageError

EXAMPLES = """\
  cricket cp web:/etc/nginx/nginx.conf .
  cricket cp -a site/. shop/web:/usr/share/nginx/html
  cricket cp -c web shop:/var/log logs
  cricket cp web:/data - | gzip > data.tar.gz
  tar c conf.d | cricket cp - web:/etc/nginx
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("source", metavar="SRC", help="CONTAINER:PATH, POD/CONTAINER:PATH, a path here, or -")
    parser.add_argument("destination", metavar="DST", help="the same")
    parser.add_argument("-a", "--archive", action="store_true", help="keep owners (numbers) and set-id bits")
    parser.add_argument("-L", "--follow-link", action="store_true", help="when SRC is a link, copy what it leads to")
    parser.add_argument("-c", "--container", default="", metavar="NAME", help="the container, when a pod is named")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("--node", action="store_true", help="through the node, without the container's tar (root)")
    options.add_transport(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Copy it."""
    from cricket.cli.copying.copy import copy
    from cricket.cli.copying.rules import spot

    source, destination = spot(args.source), spot(args.destination)
    if not source.owner and not destination.owner:
        raise UsageError("both are paths of this host", todo="name a container's like web:/etc/hosts")
    with connect(args) as client:
        meter = copy(client, source, destination, args)
    if not args.quiet and sys.stderr.isatty():
        print(f"copied {meter.summary()} to {destination}", file=sys.stderr)
    return 0
