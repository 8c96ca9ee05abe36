"""Create a container in a pod from JSON files in crictl's form; prints its id.

The second file is the configuration that the pod was run with.
"""

from __future__ import annotations

import argparse

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.documents import read_container, read_pod
from cricket.cli.forms import print_document
from cricket.cli.pulling import POLICIES, auth_config, provide

EXAMPLES = """\
  cricket create web container.json pod.json
  cricket start $(cricket create --pull never web container.json pod.json)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", help="id or name of the pod")
    parser.add_argument("container_config", metavar="CONTAINER.json", help="a ContainerConfig; - for standard input")
    parser.add_argument("pod_config", metavar="POD.json", help="the pod's PodSandboxConfig")
    parser.add_argument("--pull", choices=POLICIES, default="missing", help="when to pull the image")
    options.add_creds(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Create it."""
    config, pod_config = read_container(args.container_config), read_pod(args.pod_config)
    with connect(args) as client:
        box = find.sandbox(client, args.pod)
        pod_config.metadata.CopyFrom(box.metadata)
        provide(client, config.image.image, args.pull, auth_config(args), pod_config)
        answer = client.call("CreateContainer", pod_sandbox_id=box.id, config=config, sandbox_config=pod_config)
    if not print_document(args.output, answer):
        print(answer.container_id)
    return 0
