"""The runs of `cricket run`: each has a directory and a lock on it for as long as its process lives. The next run finds
those that are nobody's any more, and ends what they left, by what they noted and by their name alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator

import msgspec

from cricket.errors import FailedPrecondition, map_errors
from cricket.kubelet.volumes import mounting

_LOCK, _NOTE = "run.lock", "run.json"
_TRIES = 10


class Note(msgspec.Struct, frozen=True):
    """What a run may have left: an engine of its own with this `state` directory, "" none; pods at this `endpoint`, ""
    none yet."""

    state: str = ""
    endpoint: str = ""


class Run:
    """One run, whose lock we hold."""

    def __init__(self, directory: str, lock: int) -> None:
        self.directory, self.name = directory, os.path.basename(directory)
        self._lock = lock

    @property
    def state(self) -> str:
        """The state directory of an engine of its own."""
        return f"/run/cricket-{self.name}"

    def note(self, note: Note) -> None:
        """Write down what is about to be made. Raises FailedPrecondition."""
        path = os.path.join(self.directory, _NOTE)
        with map_errors(OSError, FailedPrecondition, "the run cannot be noted", where=path):
            with open(f"{path}.new", "wb") as file:
                file.write(msgspec.json.encode(note))
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.new", path)

    def noted(self) -> Note:
        """What was written down; nothing if it cannot be read."""
        try:
            with open(os.path.join(self.directory, _NOTE), "rb") as file:
                return msgspec.json.decode(file.read(), type=Note)
        except (OSError, msgspec.MsgspecError):
            return Note()

    async def remove(self) -> None:
        """Take the directory away, never through a mount. Raises FailedPrecondition when something is mounted there."""
        for point in mounting.mount_points(self.directory):
            await mounting.unmount(point)
        if left := mounting.mount_points(self.directory):
            raise FailedPrecondition("something is still mounted", where=left[0])
        shutil.rmtree(self.directory, ignore_errors=True)

    def close(self) -> None:
        """Let go of the lock. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def directory(root: str) -> str:
    """Where the runs are; `root` is that of the options, "" the default."""
    return os.path.join(root or "/var/lib/cricket-kubelet", "runs")


@contextlib.asynccontextmanager
async def claimed(root: str) -> AsyncIterator[Run]:
    """A run of our own. Its directory goes at the end; after an error it stays, for the next run to look at."""
    run = _claim(directory(root))
    try:
        yield run
        await run.remove()
    finally:
        run.close()


def died(root: str) -> Iterator[Run]:
    """The runs whose processes are gone; each is ours until it is closed."""
    try:
        names = sorted(os.listdir(directory(root)))
    except OSError:
        return
    for name in names:
        path = os.path.join(directory(root), name)
        if (lock := _locked(path)) >= 0:
            yield Run(path, lock)


def _claim(above: str) -> Run:
    with map_errors(OSError, FailedPrecondition, "the directory of runs cannot be used", where=above):
        os.makedirs(above, 0o711, exist_ok=True)
        for _ in range(_TRIES):
            path = os.path.join(above, f"run-{secrets.token_hex(3)}")
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o711)
                # Who sweeps may have had it in between, and taken it away.
                if (lock := _locked(path)) >= 0:
                    return Run(path, lock)
    raise FailedPrecondition("no run can be begun", where=above)


def _locked(path: str) -> int:
    """The lock of a run's directory, -1 when somebody has it or the directory is gone."""
    name = os.path.join(path, _LOCK)
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(name)):
            return fd
    except OSError:
        pass
    os.close(fd)
    return -1
