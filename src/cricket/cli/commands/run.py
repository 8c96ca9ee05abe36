"""Run a container in a pod of its own, from JSON files in crictl's form; prints the container's id.

The image is pulled when it is missing. When the container does not start, the pod is removed again.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from cricket.cli import options
from cricket.cli.client import Client, connect
from cricket.cli.documents import read_container, read_pod
from cricket.cli.output import print_json
from cricket.cli.pulling import POLICIES, auth_config, provide
from cricket.errors import CricketError

EXAMPLES = """\
  cricket run container.json pod.json
  cricket run --pull always --creds me:secret container.json pod.json
  cricket run --runtime runc --keep container.json pod.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("container_config", metavar="CONTAINER.json", help="a ContainerConfig; - for standard input")
    parser.add_argument("pod_config", metavar="POD.json", help="a PodSandboxConfig")
    parser.add_argument("--pull", choices=POLICIES, default="missing", help="when to pull the image")
    parser.add_argument("--keep", action="store_true", help="keep the pod when the container does not start")
    options.add_handler(parser)
    options.add_creds(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Pull, then pod, then container."""
    config, pod_config = read_container(args.container_config), read_pod(args.pod_config)
    with connect(args) as client:
        provide(client, config.image.image, args.pull, auth_config(args), pod_config)
        box = client.call("RunPodSandbox", config=pod_config, runtime_handler=args.runtime).pod_sandbox_id
        with contextlib.nullcontext() if args.keep else _removed_on_failure(client, box):
            created = client.call("CreateContainer", pod_sandbox_id=box, config=config, sandbox_config=pod_config)
            client.call("StartContainer", container_id=created.container_id)
    if args.output == "json":
        print_json({"podSandboxId": box, "containerId": created.container_id})
    else:
        print(created.container_id)
    return 0


@contextlib.contextmanager
def _removed_on_failure(client: Client, box: str) -> Any:
    try:
        yield
    except BaseException:
        with contextlib.suppress(CricketError):  # what is left shows in `cricket pods`; the first error tells more
            client.call("StopPodSandbox", pod_sandbox_id=box)
            client.call("RemovePodSandbox", pod_sandbox_id=box)
        raise
