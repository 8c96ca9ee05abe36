"""Run a pod manifest (YAML) until the pod ends: engine and node agent live as long as the pod and no longer.

The logs of all containers are shown, each with its name; Ctrl-C stops the pod with its grace period, a second one at
once; the exit code is the pod's. The daemon at the runtime endpoint is used when there is one, else one is started for
as long as the pod lives. --detach hands the manifest to the node agent that is running instead (`cricket kubelet`).

Given an image, it runs a container of it in a pod of its own, as docker run does, and exits with its exit code. Options
stand before the image, the command after it. A daemon on this node is used when there is one.

Given two JSON files in crictl's form, CONTAINER.json and POD.json, it runs a container in a pod of its own and prints
the container's id. The image is pulled when it is missing. When the container does not start, the pod is removed again,
unless it was there before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.documents import read_container, read_pod
from cricket.cli.errors import UsageError
from cricket.cli.forms import print_document
from cricket.cli.imageoptions import add_image
from cricket.cli.pulling import POLICIES, auth_config, provide

EXAMPLES = """\
  cricket run pod.yaml
  cricket run -p 8080:80 web.yaml
  cricket run --detach pod.yaml
  cricket run -it --rm busybox sh
  cricket run -d --name web -p 8080:80 -v ./site:/srv nginx
  cricket run --pull always --creds me:secret container.json pod.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("manifest", metavar="POD.yaml|IMAGE|CONTAINER.json", help="- for standard input")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND|POD.json", help="of the image, or a PodSandboxConfig"
    )
    _options(parser)


def _options(parser: argparse.ArgumentParser) -> None:
    # -v is --verbose everywhere, and a volume to everybody who runs an image: the later one has it.
    parser.conflict_handler = "resolve"
    options.add_client(parser)
    pods = parser.add_argument_group("manifests")
    pods.add_argument(
        "-p", "--publish", action="append", default=[], metavar="LOCAL:REMOTE", help="forward a port of this host"
    )
    pods.add_argument(
        "-d", "--detach", action="store_true", help="leave it to the running node agent; an image: to the runtime"
    )
    pods.add_argument("--manifests", metavar="DIR", default="", help="the folder that the running agent watches")
    pods.add_argument("--events", action="store_true", help="show what happens beside the logs")
    pods.add_argument("--timestamps", action="store_true", help="begin each line with its time (also -t)")
    pods.add_argument("--root", default="", metavar="DIR", help="volumes and, without a daemon, images")
    add_image(parser)
    containers = parser.add_argument_group("images and JSON files")
    containers.add_argument("--pull", choices=POLICIES, default="missing", help="when to pull the image")
    containers.add_argument("--keep", action="store_true", help="keep the pod when the container does not start")
    options.add_handler(parser)
    options.add_creds(parser)
    options.add_output(parser)
    options.add_transport(parser)


def run(args: argparse.Namespace) -> int:
    """A manifest, an image, or two JSON files."""
    if _is_image(args.manifest):
        from cricket.cli.imagerun import run_image

        return run_image(args)
    args = _options_behind(args)
    if args.pod_config is None:
        if args.manifest.endswith(".json") and not args.detach and _is_container(args.manifest):
            raise UsageError("POD.json is missing after CONTAINER.json", todo="see `cricket run --help`")
        return _manifest(args)
    return _files(args)


def _manifest(args: argparse.Namespace) -> int:
    from cricket.cli.podrun import detach, run_manifest

    args.publish = [_ports(text) for text in args.publish]
    args.timestamps = args.timestamps or args.tty
    if args.name or args.env or args.volume or args.interactive:
        raise UsageError("-i, -e, -v and --name are for images", todo="write it into the manifest")
    return detach(args) if args.detach else run_manifest(args)


def _files(args: argparse.Namespace) -> int:
    """Two JSON files."""
    from cricket.cli.imagerun import removed_on_failure

    config, pod_config = read_container(args.manifest), read_pod(args.pod_config)
    with connect(args) as client:
        provide(client, config.image.image, args.pull, auth_config(args), pod_config)
        before = {box.id for box in client.call("ListPodSandbox").items}
        box = client.call("RunPodSandbox", config=pod_config, runtime_handler=args.runtime).pod_sandbox_id
        # A runtime that has this pod already answers with its id: what runs in it is not ours to end.
        with contextlib.nullcontext() if args.keep or box in before else removed_on_failure(client, box):
            created = client.call("CreateContainer", pod_sandbox_id=box, config=config, sandbox_config=pod_config)
            client.call("StartContainer", container_id=created.container_id)
    if not print_document(args.output, {"podSandboxId": box, "containerId": created.container_id}):
        print(created.container_id)
    return 0


def _is_image(text: str) -> bool:
    """Whether it names an image: no file, and nothing that looks like one."""
    return text != "-" and not text.endswith((".yaml", ".yml", ".json")) and not os.path.isfile(text)


def _options_behind(args: argparse.Namespace) -> argparse.Namespace:
    """Of files the options may also stand behind them, and a second file."""
    parser = options.Parser("cricket run", "", "")
    parser.add_argument("pod_config", nargs="?")
    _options(parser)
    return parser.parse_args(args.words, namespace=args)


def _is_container(path: str) -> bool:
    """Whether a JSON file is one of crictl's: those have no kind."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return b'"kind"' not in file.read(1 << 20)
    return False


def _ports(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:(\d{0,5}):)?(\d{1,5})", text)
    local, remote = match.groups() if match else (None, "0")
    pair = int(remote if local is None else local or 0), int(remote)
    if not 0 < pair[1] < 65536 or pair[0] >= 65536:
        raise UsageError(f"{text!r} is no pair of ports like 8080:80", todo="see `cricket run --help`")
    return pair
