"""/containerLogs/NAMESPACE/POD/CONTAINER as the kubelet has it: follow, previous, tailLines, timestamps, sinceSeconds.

The text has no length told before: it ends with the connection.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from cricket.client.logfile import Tail
from cricket.errors import InvalidArgument, NotFound
from cricket.kubelet.agent import Agent
from cricket.kubelet.loop_records import SECOND, ContainerRecord, State
from cricket.kubelet.worker import PodWorker
from cricket.wire.logline import LogLine, format_time

PATH = "/containerLogs/"
_PAUSE = 0.2
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


class Wanted(NamedTuple):
    """What was asked for. `tail` None: all of it; `since` in Unix ns."""

    key: str
    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: int = 0


def wanted(target: str, now: int) -> Wanted:
    """From a request's target. Raises InvalidArgument."""
    path, _, query = target.partition("?")
    parts = [unquote(part) for part in path.removeprefix(PATH).split("/")]
    if len(parts) != 3 or not all(parts):
        raise InvalidArgument("this should be /containerLogs/NAMESPACE/POD/CONTAINER")
    given = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    tail = given.get("tailLines", given.get("tail", "all"))
    seconds = given.get("sinceSeconds", "0")
    if not (tail.isdecimal() or tail == "all") or not seconds.isdecimal():
        raise InvalidArgument("tailLines and sinceSeconds are whole numbers")
    on = {name for name in given if given[name].lower() in ("", "1", "t", "true")}
    return Wanted(
        key=f"{parts[0]}/{parts[1]}",
        container=parts[2],
        follow="follow" in on,
        previous="previous" in on,
        timestamps="timestamps" in on,
        tail=None if tail == "all" else int(tail),
        since=now - int(seconds) * SECOND if seconds != "0" else 0,
    )


async def send_logs(agent: Agent, target: str, writer: asyncio.StreamWriter) -> None:
    """Answer with the log; with `follow` until the container has ended. Raises NotFound, InvalidArgument."""
    asked = wanted(target, time.time_ns())
    worker, record = _find(agent, asked)
    tail = Tail(record.log_path)
    try:
        await asyncio.to_thread(tail.open, asked.tail)
        writer.write(_HEAD)
        going = True
        while going:
            going = asked.follow and _runs(worker, record) and not writer.is_closing()
            writer.write(b"".join(_text(line, asked) for line in tail.records()))
            await writer.drain()
            if going:
                await asyncio.sleep(_PAUSE)
        writer.write(b"".join(_text(line, asked) for line in tail.rest()))
        await writer.drain()
    finally:
        tail.close()


def _find(agent: Agent, asked: Wanted) -> tuple[PodWorker, ContainerRecord]:
    worker = next((worker for worker in agent.workers.values() if worker.pod.key == asked.key), None)
    if worker is None:
        raise NotFound(f'pod "{asked.key.partition("/")[2]}" does not exist')
    if asked.container not in {container.name for container in worker.pod.containers()}:
        raise NotFound(f'container "{asked.container}" not found in pod "{worker.pod.metadata.name}"')
    found = worker.records.of(asked.container)[int(asked.previous) :]
    if not found or not found[0].log_path:
        which = "previous terminated " if asked.previous else ""
        raise NotFound(f'{which}container "{asked.container}" in pod "{worker.pod.metadata.name}" not found')
    return worker, found[0]


def _runs(worker: PodWorker, record: ContainerRecord) -> bool:
    return any(known.id == record.id and known.state is State.RUNNING for known in worker.records.containers)


def _text(line: LogLine, asked: Wanted) -> bytes:
    if line.timestamp < asked.since:
        return b""
    stamp = format_time(line.timestamp) + b" " if asked.timestamps else b""
    return stamp + line.text + (b"" if line.partial else b"\n")
