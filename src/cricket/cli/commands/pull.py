"""Pull images, some at a time, and print the id of each; progress goes to standard error. Ctrl-C cancels.

Credentials are taken from --auth, --creds, the environment variable CRICKET_CREDS, or the daemon's configuration.
"""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.pulling import auth_config, pull_all
from cricket.errors import CricketError

EXAMPLES = """\
  cricket pull busybox
  cricket pull registry.k8s.io/pause:3.10 quay.io/coreos/etcd:v3.5.15
  CRICKET_CREDS=me:secret cricket pull registry.example.com/app@sha256:...
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("reference", nargs="+", help="name, name:tag or name@digest")
    options.add_creds(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Pull all."""
    auth = auth_config(args)
    with connect(args) as client:
        results = pull_all(client, args.reference, auth, quiet=args.quiet)

    def told(name: str) -> str:
        result = results[name]
        if isinstance(result, CricketError):
            raise result
        return result

    return each(args, args.reference, told)
