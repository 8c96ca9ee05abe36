"""Show what the runtime tells the kubelet about its configuration: the cgroup driver."""

from __future__ import annotations

import argparse

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket runtime-config
  cricket runtime-config -o jsonpath='{.linux.cgroupDriver}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("RuntimeConfig")
    if not print_document(args.output, answer):
        print(f"cgroup driver  {api_pb2.CgroupDriver.Name(answer.linux.cgroup_driver).lower()}")
    return 0
