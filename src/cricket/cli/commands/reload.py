"""Let the daemon read its configuration anew, as SIGHUP does, and say what took effect."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket reload
  cricket config check && cricket reload
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Reload and print."""
    with connect(args) as client:
        answer = client.call("Reload")
    if print_document(args.output, answer):
        return 0
    for key in answer.applied:
        print(f"{key}: in force")
    for key in answer.needs_restart:
        print(f"{key}: needs a restart")
    if not answer.applied and not answer.needs_restart:
        print("nothing has changed")
    return 0
