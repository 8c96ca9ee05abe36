"""The pull worker: `python -I -c "import cricket.images.worker as w; w.serve()"`, one process for one pull.

The request comes on stdin, perhaps long after the start; lines of progress and then a result or an error go to stdout
(messages.py). Descriptor 3, where there is one, is the leash: a pipe that the daemon holds until it has recorded the
image. It ends: so does the worker. It dies with the daemon too, and may be killed at any time.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import threading
from typing import NoReturn

import msgspec

from cricket.errors import CricketError, Internal
from cricket.images.remote.messages import Message, PullRequest, failure

_LEASH = 3


def serve() -> NoReturn:
    """Serve one request and end the process."""
    code = main()
    # Threads may still hang in a download: nothing of theirs is needed, and nothing is left undone.
    os._exit(code)


def main() -> int:
    """Serve one request; returns the exit code: 0 after a result, 1 after an error."""
    # What one pull makes is freed by its end; walking it again and again costs more.
    gc.disable()
    try:
        _die_with_parent()
        # Whoever waits for a request may as well import what it needs.
        for name in ("cricket.images.leases", "cricket.images.remote.pulling"):
            importlib.import_module(name)
        text = _read_all(0)
        if not text:
            return 0  # nobody wants anything
        request = msgspec.json.decode(text, type=PullRequest)
        if request.parent and os.getppid() != request.parent:
            return 1
        return _pull(request)
    except CricketError as e:
        _send(failure(e))
        return 1
    except msgspec.DecodeError as e:
        _send(failure(Internal(f"the request of the pull worker is malformed: {e}")))
        return 1
    except MemoryError:
        _send(failure(Internal("the pull worker is out of memory")))
        return 1
    except Exception as e:
        _send(failure(_unexpected(e)))
        return 1


def _read_all(fd: int) -> bytes:
    chunks = []
    while data := os.read(fd, 1 << 16):
        chunks.append(data)
    return b"".join(chunks)


def _pull(request: PullRequest) -> int:
    from cricket.images.leases import Lease
    from cricket.images.remote.pulling import Pull

    leash = _Leash()
    leash.start()
    with Lease(request.root, request.lease) as lease:
        result = Pull(request, lease, _send).run()
        leash.answered = True
        _send(result)
        leash.join()
    return 0


def _die_with_parent() -> None:
    """A parent that is dead already is found out by what it does not say on stdin."""
    from cricket.kernel.libc import die_with_parent

    die_with_parent(signal.SIGKILL)


class _Leash(threading.Thread):
    """Waits for the end of the leash. When that comes before the result, nobody wants it and the process ends."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answered = False

    def run(self) -> None:
        try:
            _read_all(_LEASH)
        except OSError as e:
            if e.errno == errno.EBADF:
                return  # started by hand: without a leash
        if not self.answered:
            os._exit(1)


def _send(message: Message) -> None:
    data = memoryview(msgspec.json.encode(message) + b"\n")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        os._exit(1)


def _unexpected(error: Exception) -> Internal:
    """A bug, told with the place of it instead of a traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    found = Internal(f"unexpected {type(error).__name__} in the pull worker", where=where)
    found.__cause__ = error
    return found
