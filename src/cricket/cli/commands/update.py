"""Change the resource limits of containers that exist. What is not named stays as it is."""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.errors import UsageError
from cricket.client.connection import Client

EXAMPLES = """\
  cricket update --memory 256M web
  cricket update --cpu-quota 50000 --cpu-period 100000 web     half a core
  cricket update --cpuset-cpus 0-1 web db
"""
_NUMBERS = {
    "cpu_period": "microseconds of a CPU period",
    "cpu_quota": "microseconds of CPU in each period; -1: no limit",
    "cpu_shares": "weight against others",
}
_SIZES = {"memory": "limit, like 256M", "memory_swap": "limit of memory and swap together; -1: no limit"}
_FIELDS = {"memory": "memory_limit_in_bytes", "memory_swap": "memory_swap_limit_in_bytes"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container", nargs="+", help="id or name")
    for name, text in _NUMBERS.items():
        parser.add_argument(_option(name), type=int, metavar="N", help=text)
    for name, text in _SIZES.items():
        parser.add_argument(_option(name), type=options.quantity, metavar="SIZE", help=text)
    parser.add_argument("--cpuset-cpus", metavar="LIST", help="CPUs, like 0-2,5")
    parser.add_argument("--cpuset-mems", metavar="LIST", help="memory nodes")
    parser.add_argument(
        "--unified", action="append", type=options.pair, metavar="KEY=VALUE", help="a cgroup v2 file, like memory.high"
    )
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Update each."""
    resources = _resources(args)
    if not resources:
        raise UsageError("nothing is to be changed", todo="see `cricket update --help`")
    with connect(args) as client:
        return each(args, args.container, lambda name: _update(client, name, resources))


def _resources(args: argparse.Namespace) -> dict[str, Any]:
    names = (*_NUMBERS, *_SIZES, "cpuset_cpus", "cpuset_mems")
    values = {_FIELDS.get(name, name): getattr(args, name) for name in names}
    values["unified"] = dict(args.unified) if args.unified else None
    return {name: value for name, value in values.items() if value is not None}


def _update(client: Client, name: str, resources: dict[str, Any]) -> str:
    container_id = str(find.container(client, name).id)
    client.call("UpdateContainerResources", container_id=container_id, linux=resources)
    return container_id


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
