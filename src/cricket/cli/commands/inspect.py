"""Show everything about a container, pod or image, found by id or name in this order, as an indented tree.

With -o json, yaml or jsonpath it is CRI's status message, and `info` as the runtime gives it.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import parsed, plain, print_tree
from cricket.cli.words import moment
from cricket.client.connection import Client
from cricket.errors import NotFound

EXAMPLES = """\
  cricket inspect web
  cricket inspect --kind image busybox:1.36
  cricket inspect -o json web | jq .info.pid
  cricket inspect -o jsonpath='{.status.network.ip}' shop
"""
KINDS = ("container", "pod", "image")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("object", nargs="+", help="id or name")
    parser.add_argument("-q", "--quiet", action="store_true", help="without what the runtime adds of itself")
    parser.add_argument("--kind", "--type", choices=KINDS, help="what it is (default: whatever is found first)")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Show each; several are a list in JSON."""
    with connect(args) as client:
        found = [_look(client, name, args.kind) for name in args.object]
    for value in found if args.quiet else ():
        del value["info"]
    if print_document(args.output, found if len(found) > 1 else found[0]):
        return 0
    for number, value in enumerate(found):
        if number:
            print()
        print_tree(_with_times(value))
    return 0


def _look(client: Client, name: str, kind: str | None) -> dict[str, Any]:
    looks = {"container": _container, "pod": _sandbox, "image": _image}
    for look in (looks[kind],) if kind else looks.values():
        try:
            answer = look(client, name)
        except NotFound:
            continue
        value = {key: item for key, item in plain(answer).items() if key not in ("info", "timestamp")}
        return value | {"info": parsed(answer.info)}
    raise NotFound(f"there is no {kind or 'container, pod or image'} of this id or name", where=name)


def _container(client: Client, name: str) -> Any:
    return client.call("ContainerStatus", container_id=find.container(client, name).id, verbose=True)


def _sandbox(client: Client, name: str) -> Any:
    return client.call("PodSandboxStatus", pod_sandbox_id=find.sandbox(client, name).id, verbose=True)


def _image(client: Client, name: str) -> Any:
    answer = client.call("ImageStatus", image={"image": name}, verbose=True)
    if not answer.HasField("image"):
        raise NotFound("there is no such image", where=name)
    return answer


def _with_times(value: Any) -> Any:
    """Times as people read them: fields that end in At hold nanoseconds, as text."""
    if isinstance(value, list):
        return [_with_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    times = {k: moment(int(v)) if v != "0" else "" for k, v in value.items() if k.endswith("At") and _digits(v)}
    return {key: times.get(key, _with_times(item)) for key, item in value.items()}


def _digits(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()
