"""`cricket run POD.yaml`: an agent in this process, an engine if there is none, until the pod has ended."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from cricket.cli import options
from cricket.cli.errors import INTERRUPTED, UsageError
from cricket.cli.podengine import engine
from cricket.cli.podlogs import Display
from cricket.cli.podpulls import Pulls
from cricket.cli.podruns import claimed
from cricket.cli.podscreen import LiveView
from cricket.cli.podstory import Story
from cricket.cli.podsweep import node_of, sweep
from cricket.client.discover import DEFAULT_ENDPOINT, configured
from cricket.errors import CricketError, FailedPrecondition, InvalidArgument, NotFound, map_errors
from cricket.kubelet.agent import Agent
from cricket.kubelet.agent_session import SOCKET, Options, session
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.manifest.load import load
from cricket.kubelet.source import Offer
from cricket.kubelet.worker_parts import Settings

_OVER = ("Succeeded", "Failed")


def run_manifest(args: argparse.Namespace) -> int:
    """Run the pods of the manifest to their end; the exit code of the first container that failed."""
    logging.basicConfig(stream=sys.stderr, level="ERROR", format="cricket: %(message)s")
    return asyncio.run(_run(args, read(args.manifest)))


def read(path: str) -> bytes:
    """The manifest's text. Raises NotFound, InvalidArgument."""
    if path == "-":
        return sys.stdin.buffer.read()
    what = "the manifest cannot be read"
    with (
        map_errors(OSError, InvalidArgument, what, where=path),
        map_errors(FileNotFoundError, NotFound, what, where=path),
        open(path, "rb") as file,
    ):
        return file.read()


def parsed(text: bytes, path: str) -> Desired:
    """The manifest; everything that is wrong with it is printed. Raises InvalidArgument."""
    desired = load(text, "stdin" if path == "-" else path, os.uname().nodename.lower())
    for problem in desired.warnings:
        print(f"warning: {problem}", file=sys.stderr)
    for problem in desired.errors:
        print(f"error: {problem}", file=sys.stderr)
    if desired.errors:
        raise InvalidArgument("the manifest is not valid", where=path)
    if not desired.pods:
        raise InvalidArgument("the manifest has no pod", where=path)
    return desired


async def _run(args: argparse.Namespace, text: bytes) -> int:
    desired = parsed(text, args.manifest)
    if args.publish:
        from cricket.cli.podports import check_free

        check_free(args.publish)
    view = LiveView(timestamps=args.timestamps, width=len("cricket"))
    view.know(_containers(desired))
    async with contextlib.AsyncExitStack() as stack:
        await sweep(args.root, view.say)
        run = await stack.enter_async_context(claimed(args.root))
        # What else answers on this node is not asked: a pod needs no daemon here.
        chosen = configured(getattr(args, "runtime_endpoint", None), os.environ)
        url = chosen.url if chosen else DEFAULT_ENDPOINT
        endpoint = await stack.enter_async_context(engine(url, _explicit(args), args.root, run, view.say))
        made = Options(endpoint=endpoint, settings=Settings(name=run.name, relist=0.3), node=node_of(run))

        async def once(offer: Offer) -> None:
            offer(args.manifest, (desired,))

        agent = await stack.enter_async_context(session(made, {args.manifest: once}))
        pulls = Pulls(endpoint, view)
        stack.callback(pulls.close)
        return await _attend(agent, args, view, Story(agent, view, pulls, everything=args.events))


def _explicit(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "runtime_endpoint", None) or os.environ.get(options.ENDPOINT_VARIABLE))


def _containers(desired: Desired) -> Iterator[str]:
    """The names that lines will begin with."""
    for pod in desired.pods:
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            yield container.name


async def _attend(agent: Agent, args: argparse.Namespace, view: LiveView, story: Story) -> int:
    """Show what happens until all pods have ended or somebody interrupts."""
    display = Display(agent, view)
    agent.events.listener = story.event
    signals = asyncio.Queue[int]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, number)
    async with contextlib.AsyncExitStack() as stack:
        show = asyncio.create_task(display.run())
        stack.push_async_callback(_ended, show)
        publish = asyncio.create_task(_publish(agent, args, view.say))
        stack.push_async_callback(_ended, publish)
        over, stop = asyncio.create_task(_over(agent, display, story)), asyncio.create_task(signals.get())
        await asyncio.wait({over, stop, publish, agent.work}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if agent.work.done():
            await agent.work
        interrupted, code = stop.done(), exit_code(agent)
        if interrupted:
            view.interrupted()
            view.say("stopping, each container within its grace period (Ctrl-C again: at once)")
        ending = asyncio.create_task(_end(agent, display))
        while not ending.done():
            stop = stop if not stop.done() else asyncio.create_task(signals.get())
            await asyncio.wait({ending, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                await _hurry(agent)
        stop.cancel()
        await ending
        if interrupted:
            display.look()
            view.say("stopped")
        if publish.done():
            await publish
    return code if not interrupted else INTERRUPTED


async def _end(agent: Agent, display: Display) -> None:
    """Stop the containers; once all that they wrote was shown, remove them."""
    for worker in agent.workers.values():
        for record in worker.records.containers:
            display.keep(record)
    await agent.end_all()
    await asyncio.sleep(0)


async def _hurry(agent: Agent) -> None:
    from cricket.kubelet.worker_stop import hurry

    for worker in list(agent.workers.values()):
        worker.end(0.0)
        with contextlib.suppress(CricketError):
            await hurry(agent.parts, worker.records)


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _over(agent: Agent, display: Display, story: Story) -> None:
    """Wait until every pod has ended by itself; tell what becomes of them."""
    changed = asyncio.Event()
    agent.changed = changed.set
    while not (agent.workers and all(w.status["phase"] in _OVER for w in agent.workers.values())):
        changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await changed.wait()
        display.look()  # what was written comes before what became of it
        story.look()


def exit_code(agent: Agent) -> int:
    """The code of the first container that failed, init containers first; 1 for a pod that failed without one."""
    for worker in agent.workers.values():
        status = worker.status
        for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            ended = container["state"].get("terminated") or {}
            if status["phase"] == "Failed" and ended.get("exitCode"):
                return int(ended["exitCode"]) & 255 or 1
        if status["phase"] == "Failed":
            return 1
    return 0


async def _publish(agent: Agent, args: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Forward the ports to the pod until cancelled. Raises FailedPrecondition when one is taken."""
    from cricket.cli.podports import forward

    await forward(agent, args, say)


def detach(args: argparse.Namespace) -> int:
    """Put the manifest into the folder that a running agent watches."""
    from cricket.cli.commands.kubelet import FOLDER
    from cricket.cli.commands.kubelet_status import ask

    text = read(args.manifest)
    desired = parsed(text, args.manifest)
    folder = args.manifests or FOLDER
    if not args.manifests:
        ask(SOCKET, "/healthz")
    if not os.path.isdir(folder):
        raise UsageError(
            "the agent's folder of manifests does not exist", where=folder, todo="name it with --manifests"
        )
    name = "stdin.yaml" if args.manifest == "-" else os.path.basename(args.manifest)
    target = os.path.join(folder, name if name.endswith((".yaml", ".yml", ".json")) else f"{name}.yaml")
    with map_errors(OSError, FailedPrecondition, "the manifest cannot be written", where=target):
        with open(f"{target}.new", "wb") as file:
            file.write(text)
        os.replace(f"{target}.new", target)
    for pod in desired.pods:
        print(pod.key)
    return 0
