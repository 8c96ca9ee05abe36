"""Make an image of one layer from a root file system: a directory, or a tar (also compressed). Prints its id."""

from __future__ import annotations

import argparse
import os
import shlex

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket import rootfs.tar.zst example.com/base:v1
  cricket import --command 'nginx -g "daemon off;"' --env TZ=UTC ./rootfs example.com/web:v1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("path", help="directory or tar on the daemon's node")
    parser.add_argument("name", metavar="NAME:TAG", help="name of the image")
    parser.add_argument("--command", type=shlex.split, default=[], metavar="WORDS", help="what containers run")
    parser.add_argument("--env", action="append", default=[], type=options.pair, metavar="KEY=VALUE", help="a variable")
    parser.add_argument("--workdir", default="", metavar="DIR", help="the directory that they run in")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Import it."""
    with connect(args) as client:
        answer = client.call(
            "ImportImage",
            path=os.path.abspath(args.path),
            name=args.name,
            command=args.command,
            env=[f"{key}={value}" for key, value in args.env],
            working_dir=args.workdir,
        )
    if not print_document(args.output, answer):
        print(answer.id)
    return 0
