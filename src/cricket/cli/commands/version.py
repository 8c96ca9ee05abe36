"""Show the versions of this client and of the runtime that answers."""

from __future__ import annotations

import argparse

from cricket import __version__
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import plain

EXAMPLES = """\
  cricket version
  cricket version -o jsonpath='{.runtimeVersion}'
  cricket --version          without asking the runtime
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("Version", version="v1")
    if print_document(args.output, {"client": __version__, **plain(answer)}):
        return 0
    print(f"client   cricket {__version__}")
    print(f"runtime  {answer.runtime_name} {answer.runtime_version}, CRI {answer.runtime_api_version}")
    return 0
