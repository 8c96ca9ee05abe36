"""What the commands about the configuration share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cricket.config.load import Loaded

PATH = "/etc/cricket/config.toml"


def add_config(parser: argparse.ArgumentParser) -> None:
    """--config, with its drop-ins."""
    parser.add_argument(
        "--config", default=PATH, metavar="FILE", help=f"read this file and FILE.d/*.toml (default: {PATH})"
    )


def load(args: argparse.Namespace) -> Loaded:
    """The configuration that the daemon would have. Raises ConfigError and NotFound."""
    from cricket.config.load import load

    return load(args.config)
