"""Print the configuration in force: defaults, then the file, then its drop-ins in order of name.

What `cricket serve` was given on its command line is not known here.
"""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.configuration import add_config, load
from cricket.cli.forms import for_people, print_document

EXAMPLES = """\
  cricket config show --origin             each value with the file that set it
  cricket config show -o json | jq .network.conf_dirs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--origin", action="store_true", help="say what set each value")
    options.add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    loaded = load(args)
    if for_people(args.output):
        from cricket.config.render import show_toml

        print(show_toml(loaded, args.origin), end="")
        return 0
    import msgspec

    content = msgspec.to_builtins(loaded.config)
    if args.origin:
        from cricket.config.merge import flatten

        content = {key: {"value": value, "origin": loaded.origin(key)} for key, value in flatten(content).items()}
    print_document(args.output, content)
    return 0
