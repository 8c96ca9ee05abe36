"""A container's files through its own `sh` and `tar`: works with every runtime, wherever it is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import tarfile
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from cricket.cli import terminal
from cricket.cli.copying import entries as travel
from cricket.cli.copying.entries import CHUNK, Entry
from cricket.cli.copying.rules import ABSENT, DIRECTORY, FILE, LINK, OTHER
from cricket.cli.streaming import tls_context
from cricket.client.connection import Client
from cricket.client.errors import RemoteError
from cricket.client.streams import run_command
from cricket.errors import Code, CricketError, Internal

_LOOK = """\
command -v tar >/dev/null 2>&1 || exit 120
real=$(readlink -f "$1" 2>/dev/null) || real=$1
[ -n "$real" ] || real=$1
if [ "$2" = n ] && [ -L "$1" ]; then kind=link real=$1
elif [ -d "$1" ]; then kind=directory
elif [ -f "$1" ]; then kind=file
elif [ -e "$1" ]; then kind=other
else kind=; fi
printf '%s:%s' "$kind" "$real"
"""
_KINDS = (FILE, DIRECTORY, LINK, OTHER, ABSENT)
_PATIENCE = 20


class NoTar(Exception):
    """The container cannot copy: why."""


class ExecFiles:
    """The files of a container."""

    def __init__(self, client: Client, container_id: str, args: argparse.Namespace) -> None:
        self._client, self._id, self._args = client, container_id, args

    def look(self, path: str, *, follow: bool) -> tuple[str, str]:
        """The kind of what is at a path, and its path without links. Raises NoTar, and what the runtime answers."""
        command = ["sh", "-c", _LOOK, "sh", path, "y" if follow else "n"]
        try:
            answer = self._client.call("ExecSync", container_id=self._id, cmd=command, timeout=_PATIENCE)
        except RemoteError as error:
            if error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.PERMISSION_DENIED):
                raise
            raise NoTar(f"it has no sh: {error.what}") from None
        kind, colon, real = os.fsdecode(answer.stdout).partition(":")
        if answer.exit_code or not colon or kind not in _KINDS:
            missing = "tar" if answer.exit_code == 120 else "sh"
            raise NoTar(f"it has no {missing}")
        return kind, real

    @contextlib.contextmanager
    def entries(self, real: str) -> Iterator[Iterator[Entry]]:
        """What is at a path. Raises Internal with tar's complaint."""
        directory, name = os.path.split(real.rstrip("/") or "/")
        name = name or "."
        ours, theirs = os.pipe()
        with Running(self._client, self._id, ["tar", "-c", "-f", "-", "-C", directory, "--", f"./{name}"], self._args,
                     stdout=theirs) as tar, open(ours, "rb") as stream:  # fmt: skip
            with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
                yield travel.from_tar(archive, "" if name == "." else name)
            while stream.read(CHUNK):
                pass
            tar.check()

    def put(self, directory: str, entries: Iterable[Entry], *, owners: bool) -> None:
        """Write entries below an existing directory. Raises Internal with tar's complaint."""
        theirs, ours = os.pipe()
        flags = "-xpf" if owners else "-xopf"
        with Running(self._client, self._id, ["tar", flags, "-", "-C", directory], self._args, stdin=theirs) as tar:
            broken = False
            try:
                with open(ours, "wb", buffering=CHUNK) as stream:
                    _write(stream, entries)
            except BrokenPipeError:
                broken = True
            tar.check()
            if broken:
                raise Internal("the container's tar did not take everything")


def _write(stream: BinaryIO, entries: Iterable[Entry]) -> None:
    # GNU's form: the tar of busybox leaves out what PAX says of long names.
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK) as archive:
        travel.to_tar(archive, entries)


class Running:
    """A command in the container, its streams on our pipes, in a thread of its own; the ends given are closed."""

    def __init__(
        self, client: Client, container_id: str, command: list[str], args: argparse.Namespace, *,
        stdin: int = -1, stdout: int = -1,
    ) -> None:  # fmt: skip
        self._stdin, self._stdout, self._args, self._said = stdin, stdout, args, bytearray()
        self._code, self._error = -1, None  # type: int, BaseException | None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        try:
            self._url = client.call(
                "Exec", container_id=container_id, cmd=command, stdin=stdin >= 0, stdout=True, stderr=True
            ).url
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_PATIENCE)

    def check(self) -> None:
        """Wait for its end. Raises Internal with what it said, or why the stream broke."""
        self._thread.join()
        if isinstance(self._error, CricketError):
            raise self._error
        said = " ".join(self._said.decode("utf-8", "replace").split())
        if self._code:
            raise Internal(f"the container's tar failed with {self._code}", where=said[:500]) from self._error

    def _run(self) -> None:
        try:
            self._code = asyncio.run(self._converse())
        except BaseException as error:  # told in check()
            self._error = error
        finally:
            self._close()

    async def _converse(self) -> int:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        return await run_command(
            self._url,
            transport=self._args.transport,
            stdin=terminal.chunks(self._stdin) if self._stdin >= 0 else None,
            stdout=functools.partial(terminal.write, self._stdout) if self._stdout >= 0 else self._say,
            stderr=self._say,
            tls=tls_context(self._args),
        )

    async def _say(self, data: bytes) -> None:
        self._said += data[: max(0, 4096 - len(self._said))]

    def _close(self) -> None:
        for fd in (self._stdin, self._stdout):
            if fd >= 0:
                os.close(fd)
        self._stdin = self._stdout = -1
