"""Show what happened to pods and containers: first what those that exist can tell, then with -f what happens.

The past is read off the times of what still exists: removals are only seen when they happen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.output import Styled, print_json, print_line
from cricket.cli.words import moment, short
from cricket.client.connection import Client
from cricket.errors import CricketError

EXAMPLES = """\
  cricket events             what has happened
  cricket events -f          and what happens, until interrupted
  cricket events -f --new -o json | jq .type
"""
_COLOURS = {"started": "green", "stopped": "red", "deleted": "grey", "created": "yellow"}


class Event(NamedTuple):
    """One line; `time` in Unix nanoseconds."""

    time: int
    type: str
    kind: str
    id: str
    name: str
    detail: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument("--new", action="store_true", help="with -f: leave out the past")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """The past, then the stream."""
    with connect(args) as client:
        if not args.follow:
            _show(args, sorted(_past(client)))
            return 0
        # Listening begins before the past is looked at, so that nothing falls between.
        with client.stream("GetContainerEvents") as messages:
            past = sorted(_past(client))
            names = {event.id: event.name for event in past}
            _show(args, [] if args.new else past)
            for message in messages:
                _show(args, [_event(message, names)])
    return 0


def _show(args: argparse.Namespace, events: list[Event]) -> None:
    if args.output == "json" and not args.follow:
        print_json([event._asdict() for event in events])
        return
    for event in events:
        if args.output == "json":
            print(json.dumps(event._asdict(), ensure_ascii=False), flush=True)
        else:
            word = Styled(f"{event.type:<8}", _COLOURS.get(event.type, "grey"))
            print_line(moment(event.time), word, f"{event.kind:<9}", short(event.id), event.name, event.detail)


def _past(client: Client) -> Iterator[Event]:
    pods = {}
    for box in client.call("ListPodSandbox").items:
        pods[box.id] = name = f"{box.metadata.namespace}/{box.metadata.name}"
        yield Event(box.created_at, "created", "pod", box.id, name)
    for item in client.call("ListContainers").containers:
        try:
            status = client.call("ContainerStatus", container_id=item.id).status
        except CricketError:  # removed since
            continue
        yield from _told(status, pods.get(item.pod_sandbox_id, ""))


def _told(status: Any, pod: str) -> Iterator[Event]:
    name = f"{pod}/{status.metadata.name}"
    for time, kind, detail in (
        (status.created_at, "created", ""),
        (status.started_at, "started", ""),
        (status.finished_at, "stopped", _ending(status)),
    ):
        if time > 0:
            yield Event(time, kind, "container", status.id, name, detail)


def _event(message: Any, names: dict[str, str]) -> Event:
    """A message of the stream; `names` remembers those of containers that a later message no longer describes."""
    kind = api_pb2.ContainerEventType.Name(message.container_event_type).split("_")[1].lower()
    box = message.pod_sandbox_status
    pod = f"{box.metadata.namespace}/{box.metadata.name}" if box.metadata.name else ""
    if message.container_id == box.id:
        return Event(message.created_at, kind, "pod", box.id, pod)
    status = next((s for s in message.containers_statuses if s.id == message.container_id), None)
    if status is not None:
        names[status.id] = f"{pod}/{status.metadata.name}"
    name = names.get(message.container_id, pod)
    detail = _ending(status) if status is not None and kind == "stopped" else ""
    if kind == "deleted":
        names.pop(message.container_id, None)
    return Event(message.created_at, kind, "container", message.container_id, name, detail)


def _ending(status: Any) -> str:
    return f"exit code {status.exit_code}" + (f", {status.reason}" if status.reason else "")
