"""Say what is wrong with the configuration, all of it at once. Exit code 1 when something is."""

from __future__ import annotations

import argparse
import sys

from cricket.cli import options
from cricket.cli.configuration import add_config, load
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket config check
  cricket config check --config ./new.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    options.add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    from cricket.config.check import ConfigError

    problems: list[str] = []
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    try:
        loaded = load(args)
        warnings, files = loaded.warnings, loaded.files
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
    found = {"valid": not problems, "problems": problems, "warnings": list(warnings), "files": list(files)}
    if print_document(args.output, found):
        return 1 if problems else 0
    for line in problems:
        print(f"cricket: {line}", file=sys.stderr)
    for line in warnings:
        print(f"cricket: warning: {line}", file=sys.stderr)
    if not problems:
        print(f"valid: {', '.join(files) or 'no files, all defaults'}")
    return 1 if problems else 0
