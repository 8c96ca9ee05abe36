"""A pull with its progress shown while it lasts."""

from __future__ import annotations

import argparse
import functools
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli.errors import UsageError
from cricket.cli.progress import Display
from cricket.client.connection import Client, Pending
from cricket.errors import Code, CricketError

POLICIES = ("missing", "always", "never")
_PAUSE, _AT_ONCE = 0.1, 4


def pull(client: Client, reference: str, auth: Any, *, config: Any = None, quiet: bool = False) -> str:
    """Pull and return the image id; `auth` and `config` (the pod's) may be None. Raises RemoteError.

    Progress comes from Cricket's side service; on other runtimes there is a sign of life.
    """
    result = pull_all(client, [reference], auth, config=config, quiet=quiet)[reference]
    if isinstance(result, CricketError):
        raise result
    return result


def pull_all(
    client: Client, references: Iterable[str], auth: Any, *, config: Any = None, quiet: bool = False
) -> dict[str, str | CricketError]:
    """Pull several, some at a time: the image id or the error of each. Whoever interrupts it cancels them."""
    waiting, running = list(dict.fromkeys(references)), dict[str, Pending]()
    results: dict[str, str | CricketError] = {}
    display, ended = Display(sys.stderr), queue.SimpleQueue[str]()
    try:
        while waiting or running:
            while waiting and len(running) < _AT_ONCE:
                name = waiting.pop(0)
                running[name] = _begin(client, name, auth, config, None if quiet else display)
                running[name].when_done(functools.partial(ended.put, name))
            name = ended.get()
            try:
                results[name] = str(running.pop(name).result().image_ref)
            except CricketError as error:
                results[name] = error
            display.end(name)
    finally:
        for call in running.values():
            call.cancel()
        display.close()
    return results


def _begin(client: Client, reference: str, auth: Any, config: Any, display: Display | None) -> Pending:
    call = client.start("PullImage", image={"image": reference}, auth=auth, sandbox_config=config)
    if display is not None:
        display.begin(reference)
        threading.Thread(target=_watch, args=(client, reference, call, display), daemon=True).start()
    return call


def _watch(client: Client, reference: str, call: Pending, display: Display) -> None:
    """Runs beside the pull. The side service knows the pull only once it has begun, so the question may come early."""
    while not call.done():
        try:
            with client.stream("PullProgress", reference=reference) as states:
                for state in states:
                    if call.done():
                        return
                    display.show(state, reference)
        except CricketError as error:
            if error.code is not Code.NOT_FOUND:
                return  # another runtime, or a connection that is over: the pull itself will tell
        time.sleep(_PAUSE)


def auth_config(args: argparse.Namespace) -> Any:
    """The credentials of the command line or the environment as an AuthConfig, None without. Raises UsageError."""
    creds = args.creds or os.environ.get("CRICKET_CREDS", "")
    if args.auth:
        return api_pb2.AuthConfig(auth=args.auth)
    if not creds:
        return None
    user, colon, password = creds.partition(":")
    if not user or not colon:
        raise UsageError("credentials are written USER:PASSWORD", where="--creds")
    return api_pb2.AuthConfig(username=user, password=password)


def provide(client: Client, reference: str, policy: str, auth: Any, config: Any) -> None:
    """Pull `reference` if the policy (one of POLICIES) wants it."""
    if policy == "always" or (
        policy == "missing" and not client.call("ImageStatus", image={"image": reference}).HasField("image")
    ):
        pull(client, reference, auth, config=config)
