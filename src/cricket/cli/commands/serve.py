"""Run the daemon in the foreground until SIGTERM; containers go on running without it. SIGHUP reloads.

Configuration, each overriding the one before: defaults, /etc/cricket/config.toml, /etc/cricket/config.toml.d/*.toml in
order of name, the options here. `cricket config show --origin` tells what is in force and why.
"""

from __future__ import annotations

import argparse
import os

EXAMPLES = """\
  cricket serve
  cricket serve --config ./test.toml --log-level debug
  cricket serve --root /tmp/c/root --state /tmp/c/state --socket /tmp/c/cricket.sock
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--config", default="/etc/cricket/config.toml", metavar="FILE", help="configuration file")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="overrides log.level of the configuration"
    )
    parser.add_argument("--root", metavar="DIR", help="overrides root: durable data")
    parser.add_argument("--state", metavar="DIR", help="overrides state: data of this boot")
    parser.add_argument("--socket", metavar="PATH", help="overrides socket: where CRI is served")
    parser.add_argument("--conf-dir", metavar="DIR", help="overrides network.conf_dirs: where CNI configurations are")


def run(args: argparse.Namespace) -> int:
    """Serve."""
    from cricket.daemon import main

    overrides: dict[str, object] = {"log.level": args.log_level} if args.log_level else {}
    for key in ("root", "state", "socket"):
        path = getattr(args, key)
        if path:
            overrides[key] = os.path.abspath(path)
    if args.conf_dir:
        overrides["network.conf_dirs"] = [os.path.abspath(args.conf_dir)]
    return main(args.config, overrides)
