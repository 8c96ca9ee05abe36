"""`cricket run IMAGE`: a container in a pod of its own, through any runtime; without one, with an engine of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket.cli import imageconfig, imagelogs, options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.pulling import auth_config, provide
from cricket.client.connection import Client
from cricket.client.errors import RemoteError, UnreachableError
from cricket.client.logfile import Tail
from cricket.errors import AlreadyExists, CricketError, Internal, NotFound

_PAUSE = 0.05
_LABEL = "cricket.dev/agent"


def run_image(args: argparse.Namespace) -> int:
    """Run it: the exit code of the container. With --detach its id is printed and it goes on."""
    with _runtime(args) as (client, labels):
        pod = imageconfig.pod_config(args, labels)
        _check_name(client, pod)
        provide(client, args.manifest, args.pull, auth_config(args), pod)
        image = client.call("ImageStatus", image={"image": args.manifest}).image
        if not image.id:
            raise NotFound("there is no such image here", where=args.manifest, todo="leave out --pull never")
        config = imageconfig.container_config(args, image.id, pod)
        box = client.call("RunPodSandbox", config=pod, runtime_handler=args.runtime).pod_sandbox_id
        with removed_on_failure(client, box):
            made = client.call("CreateContainer", pod_sandbox_id=box, config=config, sandbox_config=pod).container_id
            for mapping in pod.port_mappings:
                print(f"port {mapping.host_port} -> {mapping.container_port}", file=sys.stderr)
            if args.detach:
                client.call("StartContainer", container_id=made)
            else:
                return _attended(client, args, box, made, removes=args.rm or bool(labels))
    if not print_document(args.output, {"podSandboxId": box, "containerId": made}):
        print(made)
    return 0


@contextlib.contextmanager
def removed_on_failure(client: Client, box: str) -> Iterator[None]:
    """A sandbox whose container does not start is removed again."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(CricketError):  # what is left shows in `cricket pods`; the first error tells more
            _remove(client, box)
        raise


def _remove(client: Client, box: str) -> None:
    items = client.call("ListPodSandbox", filter={"id": box}).items
    client.call("StopPodSandbox", pod_sandbox_id=box)
    client.call("RemovePodSandbox", pod_sandbox_id=box)
    for item in items:
        imagelogs.remove(item)


def _check_name(client: Client, pod: Any) -> None:
    name = pod.metadata.name
    for item in client.call("ListPodSandbox").items:
        if (item.metadata.name, item.metadata.namespace) == (name, pod.metadata.namespace):
            raise AlreadyExists(
                "there is a pod of this name", where=name, todo=f"remove it with `cricket rmp -f {name}`"
            )


@contextlib.contextmanager
def _runtime(args: argparse.Namespace) -> Iterator[tuple[Client, dict[str, str]]]:
    """The runtime of the options or of this node; when there is none, an engine for this container alone. Its pods have
    a label, by which a later run finds them should this one be killed."""
    try:
        client = connect(args)
    except UnreachableError:
        explicit = getattr(args, "runtime_endpoint", None) or os.environ.get(options.ENDPOINT_VARIABLE)
        if explicit or args.detach:
            raise
        with _engine(args.root) as (endpoint, name), Client(endpoint) as client:
            yield client, {_LABEL: name}
    else:
        with client:
            yield client, {}


@contextlib.contextmanager
def _engine(root: str) -> Iterator[tuple[str, str]]:
    """(endpoint, the run's name); it is looked after by a loop in a thread of its own."""
    from cricket.cli.podengine import engine
    from cricket.cli.podruns import claimed
    from cricket.cli.podsweep import sweep
    from cricket.client.discover import DEFAULT_ENDPOINT

    stack, loop = contextlib.AsyncExitStack(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)

    async def begin() -> tuple[str, str]:
        await sweep(root, _say)
        run = await stack.enter_async_context(claimed(root))
        return await stack.enter_async_context(engine(DEFAULT_ENDPOINT, False, root, run, _say)), run.name

    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(begin(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _say(text: str) -> None:
    print(f"cricket | {text}", file=sys.stderr)


def _attended(client: Client, args: argparse.Namespace, box: str, container: str, *, removes: bool) -> int:
    """Start it and stay with it; at its end the pod is removed, or at least gives back its network."""
    left = False
    try:
        if args.interactive:
            code, left = _conversation(client, args, container)
        else:
            code = _watched(client, args, container)
    finally:
        if removes and not left:
            _remove(client, box)
        elif not left:
            client.call("StopPodSandbox", pod_sandbox_id=box)
    return code


def _conversation(client: Client, args: argparse.Namespace, container: str) -> tuple[int, bool]:
    """With the user's own streams: (exit code, whether it was left running)."""
    from cricket.cli.streaming import converse

    start = functools.partial(client.call, "StartContainer", container_id=container)
    attach = functools.partial(
        client.call, "Attach", container_id=container, stdin=True, tty=args.tty, stdout=True, stderr=not args.tty
    )
    try:
        url, early = attach().url, True
    except RemoteError:  # this runtime attaches only to what runs
        start()
        url, early = attach().url, False
        _print_log(client, container)
    code = converse(url, args, stdin=True, tty=args.tty, may_leave=True, connected=start if early else None)
    status = _ended(client, container)
    if status is not None:
        return int(status.exit_code), False
    if args.rm:
        client.call("StopContainer", container_id=container, timeout=0 if code else int(args.stop_timeout))
        return code, False
    _say(f"it goes on: {container[:13]}")
    return code, True


def _ended(client: Client, container: str, patience: float = 2.0) -> Any:
    """The status of a container whose streams have ended, None when it goes on."""
    end = time.monotonic() + patience
    while True:
        status = client.call("ContainerStatus", container_id=container).status
        if status.state == pb.CONTAINER_EXITED:
            return status
        if time.monotonic() > end:
            return None
        time.sleep(_PAUSE)


def _print_log(client: Client, container: str) -> None:
    """What was written before anybody listened."""
    tail = Tail(client.call("ContainerStatus", container_id=container).status.log_path)
    try:
        _print(tail)
    finally:
        tail.close()


def _watched(client: Client, args: argparse.Namespace, container: str) -> int:
    """Its log as it grows, until it has ended. A signal stops it, another one at once."""
    with _Interrupts() as interrupts:
        client.call("StartContainer", container_id=container)
        status = client.call("ContainerStatus", container_id=container).status
        tail, handled = Tail(status.log_path), 0
        try:
            while status.state != pb.CONTAINER_EXITED:
                _print(tail)
                if interrupts.count > handled:
                    grace = 0 if handled else int(args.stop_timeout)
                    if grace:
                        _say(f"stopping within {grace} s (once more: at once)")
                    client.start("StopContainer", container_id=container, timeout=grace)
                    handled = interrupts.count
                time.sleep(_PAUSE)
                status = client.call("ContainerStatus", container_id=container).status
            _print(tail)
        finally:
            tail.close()
    if status.reason == "StartError":
        raise Internal(status.message or "the container did not start", where=container)
    return 128 + interrupts.number if interrupts.number else int(status.exit_code)


def _print(tail: Tail) -> None:
    outs = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    for line in tail.records():
        outs[line.stream].write(line.text if line.partial else line.text + b"\n")
    for out in outs.values():
        out.flush()


class _Interrupts:
    """How often somebody has asked for the end, and by which signal first."""

    def __init__(self) -> None:
        self.count = self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _caught(self, number: int, frame: object) -> None:
        self.count, self.number = self.count + 1, self.number or number
