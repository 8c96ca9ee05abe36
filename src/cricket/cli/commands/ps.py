"""List containers, newest first; those that run, or with -a all of them."""

from __future__ import annotations

import argparse
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import details, filters, find, listing, options
from cricket.cli.connect import connect
from cricket.cli.output import Styled
from cricket.cli.words import age, short
from cricket.client.connection import Client
from cricket.errors import CricketError

EXAMPLES = """\
  cricket ps                                    running containers
  cricket ps -a --pod web -o wide               all of the pod web, with addresses, pids and images
  cricket ps -q --state exited                  ids of those that have ended
  cricket ps --sort-by .metadata.name --filter name=^web
  cricket ps -o jsonpath='{.containers[*].metadata.name}'
"""
HEADER = ("CONTAINER", "NAME", "POD", "STATE", "AGE", "ATTEMPT", "IMAGE")
WIDE = ("NAMESPACE", "POD ID", "IP", "PID", "MOUNTS", "RUNTIME", "IMAGE ID", "IMAGE DIGEST")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-a", "--all", action="store_true", help="also those that do not run")
    parser.add_argument("-p", "--pod", metavar="POD", help="only those of this pod")
    parser.add_argument("--image", action="append", default=[], metavar="IMAGE", help="only those made of this image")
    filters.add_filters(parser, filters.CONTAINER_STATES)
    listing.add_newest(parser)
    listing.add_listing(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        boxes = {box.id: box for box in client.call("ListPodSandbox").items}
        items = listing.arranged(args, _chosen(args, client, boxes))
        answer = api_pb2.ListContainersResponse(containers=items)
        if not listing.printed(args, answer, "containers", lambda item: _name(item, boxes)):
            rows = _Rows(args, client, boxes)
            header = (*HEADER, *WIDE) if args.output == "wide" else HEADER
            listing.table(args, header, [rows.row(item) for item in items], right="ATTEMPT PID MOUNTS")
    return 0


def _chosen(args: argparse.Namespace, client: Client, boxes: dict[str, Any]) -> list[Any]:
    if not (args.all or args.state or args.last or "status" in dict(args.filter)):
        args.state = "running"
    namespaces = {box.id: box.metadata.namespace for box in boxes.values()}
    fits = filters.wanted(args, filters.container_tests(namespaces))
    pod = find.sandbox(client, args.pod).id if args.pod else ""
    items = client.call("ListContainers").containers
    return [item for item in items if (not pod or item.pod_sandbox_id == pod) and fits(item)]


def _name(item: Any, boxes: dict[str, Any]) -> str:
    """What other commands find it by."""
    box = boxes.get(item.pod_sandbox_id)
    return f"{box.metadata.name}/{item.metadata.name}" if box else str(item.metadata.name)


class _Rows:
    """Containers as rows of the table; what is asked about each sandbox is asked once."""

    def __init__(self, args: argparse.Namespace, client: Client, boxes: dict[str, Any]) -> None:
        self._ids, self._wide, self._client, self._boxes = listing.ids(args), args.output == "wide", client, boxes
        self._addresses: dict[str, str] = {}

    def row(self, item: Any) -> tuple[str, ...]:
        """One container."""
        box, status = self._boxes.get(item.pod_sandbox_id), None
        if self._wide or item.state == api_pb2.CONTAINER_EXITED:
            try:
                status = self._client.call("ContainerStatus", container_id=item.id, verbose=self._wide)
            except CricketError:  # removed since
                status = None
        row = (
            self._ids(item.id),
            item.metadata.name,
            box.metadata.name if box else "(gone)",
            _state(item, status),
            age(item.created_at),
            str(item.metadata.attempt),
            image_name(item.image),
        )
        return (*row, *self._more(item, box, status)) if self._wide else row

    def _more(self, item: Any, box: Any, status: Any) -> tuple[str, ...]:
        digest = item.image_ref.partition("@")[2]
        return (
            box.metadata.namespace if box else "-",
            self._ids(item.pod_sandbox_id),
            self._address(item.pod_sandbox_id),
            details.pid(status.info) if status and item.state == api_pb2.CONTAINER_RUNNING else "-",
            str(len(status.status.mounts)) if status else "-",
            (box.runtime_handler if box else "") or "(default)",
            self._ids(item.image_id or ("" if digest else item.image_ref)) or "-",
            self._ids(digest) or "-",
        )

    def _address(self, sandbox_id: str) -> str:
        if sandbox_id not in self._addresses:
            self._addresses[sandbox_id] = details.sandbox(self._client, sandbox_id)[0]
        return self._addresses[sandbox_id]


def image_name(spec: Any) -> str:
    """An ImageSpec as its user wrote it; an id is shortened."""
    name = str(spec.user_specified_image or spec.image)
    return short(name) if name.startswith("sha256:") else name


def _state(item: Any, answer: Any) -> str:
    if item.state == api_pb2.CONTAINER_RUNNING:
        return Styled("Running", "green")
    if item.state == api_pb2.CONTAINER_EXITED:
        if answer is None:
            return Styled("Exited", "grey")
        code = answer.status.exit_code
        return Styled(f"Exited ({code})", "red" if code else "grey")
    return Styled("Created" if item.state == api_pb2.CONTAINER_CREATED else "Unknown", "yellow")
