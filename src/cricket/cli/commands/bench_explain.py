"""Show where the time of one pod goes: every call and every stage on one time axis, with processes and bytes.

A Cricket of its own runs in a temporary directory; the third pod is shown, when caches are warm. Processes count those
of the whole machine, threads included.
"""

from __future__ import annotations

import argparse

EXAMPLES = """\
  cricket bench explain
  cricket bench explain --handler runc --svg pod.svg
  cricket bench explain --warm 4
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--handler", default="crun", help="the OCI runtime (default: crun)")
    parser.add_argument("--warm", type=int, default=0, metavar="N", help="keep N warm sandboxes (default: 0)")
    parser.add_argument("--svg", metavar="FILE", help="also write a picture")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form")


def run(args: argparse.Namespace) -> int:
    """Run the pod and print."""
    import msgspec

    from cricket.bench import explain
    from cricket.cli.output import colourful

    bars = explain.waterfall(args.handler, args.warm)
    if args.svg:
        with open(args.svg, "w") as f:
            f.write(explain.svg(bars))
    if args.output == "json":
        print(msgspec.json.encode(bars).decode(), end="")
    else:
        print(explain.text(bars, colours=colourful()), end="")
    return 0
