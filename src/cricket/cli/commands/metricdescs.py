"""Show which metrics of pods the runtime knows, and their labels."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import print_table

EXAMPLES = """\
  cricket metricdescs
  cricket metricdescs -o jsonpath='{.items[*].name}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("ListMetricDescriptors")
    if not print_document(args.output, answer, items="descriptors"):
        rows = [(each.name, ",".join(each.label_keys), each.help) for each in answer.descriptors]
        print_table(("METRIC", "LABELS", "MEANING"), rows)
    return 0
