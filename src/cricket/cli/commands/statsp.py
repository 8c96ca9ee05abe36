"""Show what pods use: CPU (percent of one core), memory and its limit, network, processes.

CPU and network are measured over --interval; with --interval 0 it is what the runtime measured last. A runtime without
statistics of pods gets the sums over its containers. `cricket top` shows the same live.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.client.connection import Client

EXAMPLES = """\
  cricket statsp
  cricket statsp -w web
  cricket statsp -o json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", nargs="?", help="only this one, by id, name or NAMESPACE/NAME")
    options.add_labels(parser)
    options.add_sampling(parser)
    parser.add_argument(
        "--no-stream", dest="watch", action="store_false", default=False, help="once, as docker says it; the default"
    )
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    with connect(args) as client:
        filters: dict[str, Any] = {"label_selector": dict(args.label)}
        if args.pod:
            filters["id"] = find.sandbox(client, args.pod).id
        if args.output != "table":
            print_document(args.output, client.call("ListPodSandboxStats", filter=filters), items="stats")
            return 0
        _show(args, client, filters)
    return 0


def _show(args: argparse.Namespace, client: Client, filters: dict[str, Any]) -> None:
    from cricket.cli.sampling import Table, bytes_cell, show, usage_cells
    from cricket.cli.top.model import Frame, Pod
    from cricket.cli.words import short

    def row(pod: Pod) -> tuple[str, ...]:
        usage = pod.usage
        network = (usage.received, usage.sent, usage.received_total, usage.sent_total)
        processes = "-" if usage.processes is None else str(usage.processes)
        return short(pod.id), pod.namespace, pod.name, *usage_cells(usage), *map(bytes_cell, network), processes

    def table(frame: Frame) -> Table:
        wanted = {item.id for item in client.call("ListPodSandbox", filter=filters).items}
        pods = [pod for pod in frame.pods if pod.id in wanted and pod.state == "Ready"]
        figures = ("CPU%", "MEMORY", "LIMIT", "USED", "RX/s", "TX/s", "RECEIVED", "SENT", "PIDS")
        rows = [row(pod) for pod in sorted(pods, key=lambda pod: (pod.name, pod.namespace))]
        return Table(("POD", "NAMESPACE", "NAME", *figures), rows, " ".join(figures))

    show(args, client, table)
