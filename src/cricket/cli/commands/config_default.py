"""Print the default configuration, with the meaning of each key."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.forms import for_people, print_document

EXAMPLES = """\
  cricket config default > /etc/cricket/config.toml
  cricket config default -o json | jq .images
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if not for_people(args.output):
        import msgspec

        from cricket.config.model import Config

        print_document(args.output, msgspec.to_builtins(Config()))
        return 0
    from cricket.config.render import default_toml

    print(default_toml(), end="")
    return 0
