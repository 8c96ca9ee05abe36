"""Forward local ports to ports of a pod until interrupted.

LOCAL:REMOTE, or one number for both; :REMOTE takes a free local port.
"""

from __future__ import annotations

import argparse
import asyncio
import re

from cricket.cli import find, options
from cricket.cli.connect import connect

EXAMPLES = """\
  cricket port-forward web 8080:80
  cricket port-forward web 5432 :9090
  cricket port-forward --address localhost,10.0.0.1 web 80
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", help="id, name or NAMESPACE/NAME")
    parser.add_argument("port", nargs="+", type=_ports, metavar="LOCAL:REMOTE", help="which ports")
    parser.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="ADDRESS[,...]",
        help="local addresses to listen on, or localhost (default: 127.0.0.1)",
    )
    options.add_transport(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Forward until SIGINT or SIGTERM."""
    from cricket.cli.forwarding import forward

    given = [address for text in args.address for address in text.split(",")]
    addresses = [a for name in given for a in (("127.0.0.1", "::1") if name == "localhost" else (name,))]
    with connect(args) as client:
        sandbox_id = find.sandbox(client, args.pod).id
        remote = [port for _, port in args.port]

        def url() -> str:
            return str(client.call("PortForward", pod_sandbox_id=sandbox_id, port=remote).url)

        return asyncio.run(forward(url, args, addresses or ["127.0.0.1"]))


def _ports(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:(\d{0,5}):)?(\d{1,5})", text)
    local, remote = match.groups() if match else (None, "0")
    pair = int(remote if local is None else local or 0), int(remote)
    if not 0 < pair[1] < 65536 or pair[0] >= 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair of ports like 8080:80")
    return pair
