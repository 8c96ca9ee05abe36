"""Measure a node's runtime as a kubelet feels it: pod start and stop, CPU, memory, lists, exec, logs, restarts.

Cricket runs as a daemon of its own in a temporary directory; so does containerd with --against containerd. The runtimes
are measured in turn, round after round, so that a machine that changes its mind spoils no comparison.
"""

from __future__ import annotations

import argparse
import sys

from cricket.cli.output import print_table

EXAMPLES = """\
  cricket bench node
  cricket bench node --against containerd --rounds 5
  cricket bench node --against crio=unix:///var/run/crio/crio.sock='crio|conmon' -o markdown --svg node.svg
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-n", "--pods", type=int, default=40, help="pods of a series (default: 40)")
    parser.add_argument("--parallel", default="1,4,16", metavar="N,...", help="pods at a time (default: 1,4,16)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--idle", type=float, default=10, metavar="SECONDS", help="polled rest (default: 10)")
    parser.add_argument("--handlers", default="crun", metavar="NAME,...", help="Cricket's handlers (default: crun)")
    parser.add_argument(
        "--against", default="", metavar="NAME,...", help="containerd (Debian's), or NAME=ENDPOINT[=PROCESS-REGEX]"
    )
    parser.add_argument(
        "--warm", type=int, default=0, metavar="N", help="also Cricket with N warm sandboxes, beside that without"
    )
    parser.add_argument("--logs", default="", metavar="N,...", help="also log throughput of N containers, like 1,20")
    parser.add_argument("--pull", type=int, default=0, metavar="MIB", help="also pull an image of this size, like 300")
    parser.add_argument("--restarts", type=int, default=0, metavar="N", help="also daemon start with 0 and N pods")
    parser.add_argument("--svg", metavar="FILE", help="also write a plot")
    parser.add_argument("-o", "--output", choices=("table", "markdown", "json"), default="table", help="form")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    import msgspec

    from cricket.bench import node, report

    plan = node.Plan(
        pods=args.pods,
        parallel=_numbers(args.parallel),
        rounds=args.rounds,
        idle=args.idle,
        handlers=tuple(args.handlers.split(",")),
        against=tuple(word for word in args.against.split(",") if word),
        restarts=args.restarts,
        log_containers=_numbers(args.logs),
        pull_mib=args.pull,
        warm=args.warm,
    )
    rounds = node.run(plan, lambda line: print(line, file=sys.stderr, flush=True))
    rows = report.compare(rounds)
    if args.svg:
        with open(args.svg, "w") as f:
            f.write(report.svg(rows, f"{args.pods} pods, {args.rounds} rounds, medians"))
    if args.output == "json":
        print(msgspec.json.format(msgspec.json.encode({"rows": rows, "rounds": rounds})).decode())
    elif args.output == "markdown":
        print(report.markdown(rows), end="")
    else:
        header, lines = report.cells(rows)
        print_table(header, lines, right=" ".join(header[1:]))
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)
