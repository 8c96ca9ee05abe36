"""`cricket run IMAGE`: the options that docker users know."""

from __future__ import annotations

import argparse

from cricket.cli import options


def add_image(parser: argparse.ArgumentParser) -> None:
    """The options of a container that is made of an image."""
    group = parser.add_argument_group("images")
    group.add_argument("-i", "--interactive", action="store_true", help="pass on standard input")
    group.add_argument("-t", "--tty", action="store_true", help="with a terminal")
    group.add_argument("--rm", action="store_true", help="remove the pod when it has ended")
    group.add_argument("--name", default="", help="of the pod (default: made of the image's)")
    group.add_argument("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable")
    group.add_argument("--env-file", action="append", default=[], metavar="FILE", help="variables, one on a line")
    group.add_argument("-v", "--volume", action="append", default=[], metavar="HERE:THERE[:ro]", help="a directory")
    group.add_argument("-w", "--workdir", default="", metavar="DIR", help="working directory")
    group.add_argument("-u", "--user", default="", metavar="USER[:GID]", help="who it runs as")
    group.add_argument("--entrypoint", default="", metavar="COMMAND", help="instead of the image's")
    group.add_argument("--hostname", default="", help="of the pod (default: its name)")
    group.add_argument("--network", choices=("pod", "host"), default="pod", help="its own network, or this host's")
    group.add_argument("--privileged", action="store_true", help="with all rights and devices")
    group.add_argument("--read-only", action="store_true", help="with a read-only root file system")
    group.add_argument("-m", "--memory", type=options.quantity, default=0, metavar="SIZE", help="limit, like 64M")
    group.add_argument("--cpus", type=float, default=0.0, metavar="NUMBER", help="limit, like 0.5")
    group.add_argument(
        "--stop-timeout", type=options.seconds, default=10.0, metavar="SPAN", help="grace at Ctrl-C (default: 10s)"
    )
