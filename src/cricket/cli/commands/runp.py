"""Run a pod sandbox as a JSON file describes it, in crictl's form; prints its id."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.documents import read_pod
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket runp pod.json
  cricket runp --runtime runc pod.json
  echo '{"metadata": {"name": "web"}}' | cricket runp -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", metavar="POD.json", help="a PodSandboxConfig; - for standard input")
    options.add_handler(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Run it."""
    config = read_pod(args.pod)
    with connect(args) as client:
        answer = client.call("RunPodSandbox", config=config, runtime_handler=args.runtime)
    if not print_document(args.output, answer):
        print(answer.pod_sandbox_id)
    return 0
