"""Write a network configuration for a node that has none: pods on a bridge, masqueraded, with host ports.

The subnet is one that no route of this node uses, unless one is given. A node that has a configuration is left alone.
"""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.configuration import add_config, load
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket network init
  cricket network init --subnet 10.12.0.0/16 --subnet fd00:12::/64
  cricket network init --dual-stack --print
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--subnet", action="append", default=[], metavar="CIDR", help="pods' subnet; one per family")
    parser.add_argument("--dual-stack", action="store_true", help="also an IPv6 subnet, when none is given")
    parser.add_argument("--bridge", default="cni0", metavar="NAME", help="name of the bridge (default: cni0)")
    parser.add_argument(
        "--firewall",
        choices=("auto", "yes", "no"),
        default="auto",
        help="let pods' traffic through a FORWARD chain that drops (auto: when it does)",
    )
    parser.add_argument("--bandwidth", action="store_true", help="obey the pods' bandwidth annotations")
    parser.add_argument("--conf-dir", metavar="DIR", help="where to (default: the first of network.conf_dirs)")
    parser.add_argument("--print", action="store_true", help="print the configuration, write nothing")
    add_config(parser)
    options.add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Write it, or print it."""
    import asyncio

    from cricket.network import init

    firewall = asyncio.run(init.forwarding_is_dropped()) if args.firewall == "auto" else args.firewall == "yes"
    if args.print:
        families = 2 if args.dual_stack else 1
        subnets = args.subnet or [init.free_subnet(init.host_subnets(), six=six) for six in (False, True)[:families]]
        conflist = init.default_conflist(subnets, bridge=args.bridge, firewall=firewall, bandwidth=args.bandwidth)
        print(conflist.decode(), end="")
        return 0
    path = init.write_default(
        args.conf_dir or load(args).config.network.conf_dirs[0],
        args.subnet,
        dual_stack=args.dual_stack,
        bridge=args.bridge,
        firewall=firewall,
        bandwidth=args.bandwidth,
    )
    if not print_document(args.output, {"path": path}):
        print(path)
    return 0
