"""Load images from a file: an OCI archive, a docker-archive, or the directory of an OCI layout.

The daemon reads the file, so it must lie on the daemon's node.
"""

from __future__ import annotations

import argparse
import os

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import print_table
from cricket.cli.words import short

EXAMPLES = """\
  cricket load busybox.tar
  cricket load --name example.com/app:v1 ./layout
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("file", help="archive or directory")
    parser.add_argument("--name", default="", metavar="NAME:TAG", help="for an image that the file gives no name")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Load it."""
    with connect(args) as client:
        answer = client.call("LoadImage", path=os.path.abspath(args.file), name=args.name)
    if not print_document(args.output, answer):
        print_table(("ID", "NAMES"), [(short(image.id), ", ".join(image.tags) or "-") for image in answer.images])
    return 0
