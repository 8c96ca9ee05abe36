"""Write a checkpoint of a running container to a file on the daemon's node; the container goes on running.

A container that is created with the file's path as its image continues where the checkpoint was taken.
"""

from __future__ import annotations

import argparse
import math
import os

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.errors import UsageError
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket checkpoint web /var/tmp/web.tar
  cricket checkpoint --limit 1m web /var/tmp/web.tar
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", help="id or name")
    parser.add_argument("file", nargs="?", help="where to")
    parser.add_argument("-e", "--export", dest="export", metavar="FILE", help=argparse.SUPPRESS)  # crictl's
    parser.add_argument("--limit", type=options.seconds, default=0.0, metavar="SPAN", help="time it may take")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Write it."""
    if bool(args.file) == bool(args.export):
        raise UsageError("say which file to write", todo="see `cricket checkpoint --help`")
    path = os.path.abspath(args.file or args.export)
    with connect(args) as client:
        container_id = find.container(client, args.container, running=True).id
        client.call("CheckpointContainer", container_id=container_id, location=path, timeout=math.ceil(args.limit))
    if not print_document(args.output, {"path": path}):
        print(path)
    return 0
