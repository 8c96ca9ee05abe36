"""Stop pod sandboxes with their containers, and release their networks."""

from __future__ import annotations

import argparse

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.client.connection import Client

EXAMPLES = """\
  cricket stopp web
  cricket stopp kube-system/coredns
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", nargs="+", help="id, name or NAMESPACE/NAME")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Stop each."""
    with connect(args) as client:
        return each(args, args.pod, lambda name: _stop(client, name))


def _stop(client: Client, name: str) -> str:
    sandbox_id = str(find.sandbox(client, name).id)
    client.call("StopPodSandbox", pod_sandbox_id=sandbox_id)
    return sandbox_id
