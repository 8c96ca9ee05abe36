"""A thread of one's own for blocking work in several network namespaces, awaited from the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from cricket.errors import Internal, NotFound, map_errors
from cricket.kernel import libc
from cricket.kernel.namespaces import CLONE_FLAGS

T = TypeVar("T")

_OWN = "/proc/thread-self/ns/net"


async def in_own_thread(fn: Callable[[], T]) -> T:
    """Run `fn` in a new thread, which may use `visit`, and wait for its end even when cancelled meanwhile.

    The work is never left running behind the caller's back: who undoes it would race with it. Raises what `fn` raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]  # a T, as there is no error

    def body() -> None:
        value, error = None, None
        try:
            value = fn()
        except BaseException as e:  # handed over to the caller, whatever it is
            error = e
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=body, name="network", daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # seen: the cancellation is what the caller gets
        raise


@contextlib.contextmanager
def open_netns(path: str) -> Iterator[int]:
    """A descriptor of the network namespace pinned at `path`, for the block.

    Raises NotFound when nothing is there or something else (after a reboot an empty file), Internal.
    """
    try:
        with map_errors(OSError, Internal, "cannot open the network namespace", where=path):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except Internal as e:
        if isinstance(e.__cause__, (FileNotFoundError, NotADirectoryError)):
            raise NotFound("there is no network namespace", where=path) from e
        raise
    try:
        if os.fstat(fd).st_dev != os.stat(_OWN).st_dev:
            raise NotFound("this is no network namespace", where=path)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def visit(netns_fd: int) -> Iterator[None]:
    """Be in another network namespace for the block. Only for threads that `in_own_thread` made.

    Raises Internal; when there is no way back the thread stays there, and ends with that error.
    """
    with map_errors(OSError, Internal, "cannot enter the network namespace"):
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with map_errors(OSError, Internal, "cannot enter the network namespace"):
            libc.setns(netns_fd, CLONE_FLAGS["net"])
        try:
            yield
        finally:
            with map_errors(OSError, Internal, "cannot leave the network namespace"):
                libc.setns(home, CLONE_FLAGS["net"])
    finally:
        os.close(home)
