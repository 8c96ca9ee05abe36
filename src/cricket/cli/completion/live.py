"""Ids and names of what is there now, asked of the runtime without protobuf: a key that was pressed waits for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cricket.client import fields
from cricket.client.connection import Client

_PATIENCE = 0.5
_SHORT = 13
_ID = re.compile(r"[0-9a-f]{1,64}")
_POD = "io.kubernetes.pod.name"
CREATED, RUNNING, EXITED = 0, 1, 2
_STATES = {CREATED: "created", RUNNING: "running", EXITED: "exited"}
# Commands for which only containers in one state make sense.
_ONLY = {
    "start": CREATED,
    **dict.fromkeys(("exec", "attach", "stop", "stats", "checkpoint", "port-forward", "cp"), RUNNING),
}


class Candidate(NamedTuple):
    """What may be written here, and a few words about it."""

    value: str
    about: str = ""


class Asker:
    """Asks one runtime. Every method raises as `Client.raw` does."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def _list(self, method: str, field: int = 1) -> list[bytes]:
        with Client(self._endpoint, _PATIENCE) as client:
            return fields.each(client.raw(f"/runtime.v1.{method}"), field)

    def containers(self, command: str, word: str) -> Iterator[Candidate]:
        """Names, with their pod where a name is not enough; ids when one has been begun."""
        only = _ONLY.get(command)
        found = []
        for item in self._list("RuntimeService/ListContainers"):
            number = fields.number(item, 6)
            if only is None or number == only:
                state = _STATES.get(number, "unknown")
                found.append((fields.text(item, 1), fields.text(item, 3, 1), _pod(item), state))
        pods = Counter(name for name, _ in {(name, pod) for _, name, pod, _ in found})
        for key, name, pod, state in found:
            about = f"{state}, pod {pod}" if pod else state
            if name and pods[name] == 1 and "/" not in word:
                yield Candidate(name, about)
            elif name and pod:
                yield Candidate(f"{pod}/{name}", state)
            if _begun(key, word):
                yield Candidate(key[:_SHORT], f"{name}, {about}")

    def pods(self, command: str, word: str) -> Iterator[Candidate]:
        """Names, with their namespace where a name is not enough; ids when one has been begun."""
        found = []
        for item in self._list("RuntimeService/ListPodSandbox"):
            ready = fields.number(item, 3) == 0
            if ready or command != "port-forward":
                names = fields.text(item, 2, 1), fields.text(item, 2, 3)
                found.append((fields.text(item, 1), *names, "ready" if ready else "not ready"))
        spaces = Counter(name for name, _ in {(name, space) for _, name, space, _ in found})
        for key, name, space, state in found:
            if spaces[name] == 1 and "/" not in word:
                yield Candidate(name, f"{state}, namespace {space}")
            else:
                yield Candidate(f"{space}/{name}", state)
            if _begun(key, word):
                yield Candidate(key[:_SHORT], f"{name}, {state}")

    def images(self, _command: str, word: str) -> Iterator[Candidate]:
        """Tags, also without the registry and library that short names stand for; ids when one has been begun."""
        for item in self._list("ImageService/ListImages"):
            key = fields.text(item, 1).removeprefix("sha256:")
            for tag in fields.each(item, 2):
                name = tag.decode("utf-8", "replace")
                short = name.removeprefix("docker.io/").removeprefix("library/")
                yield Candidate(short if short.startswith(word) and not name.startswith(word) else name, key[:_SHORT])
            if _begun(key, word):
                yield Candidate(key[:_SHORT], "image")

    def handlers(self, _command: str, _word: str) -> Iterator[Candidate]:
        """The runtime handlers that work."""
        for item in self._list("RuntimeService/Status", 3):
            if name := fields.text(item, 1):
                yield Candidate(name, "runtime handler")

    def namespaces(self, _command: str, _word: str) -> Iterator[Candidate]:
        """The namespaces of pods."""
        counts = Counter(fields.text(item, 2, 3) for item in self._list("RuntimeService/ListPodSandbox"))
        for name, count in sorted(counts.items()):
            yield Candidate(name, f"{count} pods" if count > 1 else "1 pod")

    def paths(self, command: str, word: str) -> Iterator[Candidate]:
        """Containers with a colon, to write a path in them behind."""
        if ":" not in word:
            for candidate in self.containers(command, word):
                yield candidate._replace(value=candidate.value + ":")


KINDS: dict[str, Callable[[Asker, str, str], Iterator[Candidate]]] = {
    "container": Asker.containers,
    "pod": Asker.pods,
    "image": Asker.images,
    "handler": Asker.handlers,
    "namespace": Asker.namespaces,
    "container-path": Asker.paths,
}


def _pod(item: bytes) -> str:
    """The pod's name in a container's labels, which are entries of key and value."""
    return next((fields.text(entry, 2) for entry in fields.each(item, 8) if fields.text(entry, 1) == _POD), "")


def _begun(key: str, word: str) -> bool:
    return bool(_ID.fullmatch(word)) and key.startswith(word)
