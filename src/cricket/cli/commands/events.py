"""Show what happened to pods and containers: first what those that exist can tell, then with -f what happens.

The past is read off the times of what still exists: removals are only seen when they happen. A runtime without a stream
of events (containerd before 1.7) is asked every second instead: what begins and ends in between is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.errors import UsageError
from cricket.cli.forms import print_document
from cricket.cli.output import Styled, print_line
from cricket.cli.words import moment, short
from cricket.client.connection import Client
from cricket.errors import Code, CricketError

EXAMPLES = """\
  cricket events                  what has happened
  cricket events --since 10m -f   and what happens, until interrupted
  cricket events -f --new -o json | jq .type
"""
_COLOURS = {"started": "green", "stopped": "red", "deleted": "grey", "created": "yellow"}
_LOOK_EVERY = 1.0


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
    options.add_period(parser)
    parser.add_argument("--no-trunc", action="store_true", help="print ids in full")
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """The past, then what comes."""
    if args.follow and args.until:
        raise UsageError("--until is for the past, -f for what comes", todo="give one of them")
    with connect(args) as client:
        if not args.follow:
            _show(args, sorted(_past(client)))
            return 0
        # Listening begins before the past is looked at, so that nothing falls between.
        with client.stream("GetContainerEvents") as messages:
            past = sorted(_past(client))
            _show(args, [] if args.new else past)
            names = {event.id: event.name for event in past}
            try:
                for message in messages:
                    _show(args, [_event(message, names)])
                return 0
            except CricketError as error:
                if error.code is not Code.UNIMPLEMENTED:
                    raise
        print("cricket: this runtime has no stream of events: it is asked every second instead", file=sys.stderr)
        _look(args, client, past)
    return 0


def _look(args: argparse.Namespace, client: Client, past: list[Event]) -> None:
    """What is new in the lists, again and again; without end."""
    known = {(event.id, event.type): event for event in past}
    while True:
        time.sleep(_LOOK_EVERY)
        now = {(event.id, event.type): event for event in _past(client)}
        present = {event.id for event in now.values()}
        gone = {event.id: event for event in known.values() if event.id not in present}
        fresh = [event for key, event in now.items() if key not in known]
        fresh += [event._replace(time=time.time_ns(), type="deleted", detail="") for event in gone.values()]
        _show(args, sorted(fresh))
        known = now


def _show(args: argparse.Namespace, events: list[Event]) -> None:
    events = [event for event in events if args.since <= event.time and not 0 < args.until < event.time]
    if not args.follow and print_document(args.output, [event._asdict() for event in events]):
        return
    for event in events:
        if not print_document(args.output, event._asdict(), stream=True):
            word = Styled(f"{event.type:<8}", _COLOURS.get(event.type, "grey"))
            ident = event.id if args.no_trunc else short(event.id)
            print_line(moment(event.time), word, f"{event.kind:<9}", ident, event.name, event.detail)


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
    for at, kind, detail in (
        (status.created_at, "created", ""),
        (status.started_at, "started", ""),
        (status.finished_at, "stopped", _ending(status)),
    ):
        if at > 0:
            yield Event(at, kind, "container", status.id, name, detail)


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
