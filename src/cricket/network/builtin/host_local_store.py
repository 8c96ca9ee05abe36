"""host-local's reservations on disk: `<dataDir>/<network>/<address>` holds the container's id and interface.

`lock` in the same directory is what all of its users hold (flock) while they look and change; `last_reserved_ip.<n>`
holds what range set n gave out last. The standard plugin reads every file to find a container's; with a hundred pods
that is most of its time. We remember who owns what between calls, as long as the directory's time says that nobody
else has changed it, and believe the memory only after another look at the very file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator

from cricket.errors import Internal, map_errors
from cricket.kernel.effects import effect
from cricket.network.builtin.base import TRY_AGAIN, Refused

DATA_DIR = "/var/lib/cni/networks"
_LAST = "last_reserved_ip."
_LOCK_SECONDS = 60.0


class _Memory:
    """What is known of a directory. Used only by who holds its lock file."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.owners: dict[str, str] = {}
        self.changed = -1  # the directory's time when `owners` was true


_memories: dict[str, _Memory] = {}


class Store:
    """The reservations of one network; made by `locked`, valid inside of it. Methods raise Internal."""

    def __init__(self, directory: str, memory: _Memory) -> None:
        self._directory, self._memory = directory, memory
        if self._time() != memory.changed:
            memory.owners = {}
        self._look()

    def taken(self, address: str) -> bool:
        """Whether it is reserved."""
        return address in self._memory.owners

    def owned(self, container_id: str, ifname: str) -> list[str]:
        """The addresses of an attachment."""
        found = self._confirmed(_owner(container_id, ifname))
        if not found:
            self._memory.owners = {}
            self._look()
            # Versions before 0.8 wrote no interface.
            found = self._confirmed(_owner(container_id, ifname)) or self._confirmed(container_id.strip())
        return found

    def known(self, container_id: str, ifname: str) -> list[str]:
        """As `owned`, without a second look when none is found: for ids that should be new."""
        return self._confirmed(_owner(container_id, ifname)) + self._confirmed(container_id.strip())

    def reserve(self, address: str, container_id: str, ifname: str, range_set: int) -> bool:
        """Take an address; False when somebody has it."""
        file = self._path(address)
        owner = _owner(container_id, ifname)
        with map_errors(OSError, Internal, "cannot reserve an address", where=file):
            try:
                fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                return False
            try:
                os.write(fd, owner.encode())
            except OSError:
                os.unlink(file)
                raise
            finally:
                os.close(fd)
            self._memory.owners[address] = owner
            fd = os.open(self._path(f"{_LAST}{range_set}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, address.encode())
            finally:
                os.close(fd)
            self._memory.changed = self._time()
        effect("host-local reserve")
        return True

    def last(self, range_set: int) -> str:
        """What the range set gave out last, "" when nothing says so."""
        return self._read(f"{_LAST}{range_set}")

    def release(self, container_id: str, ifname: str) -> None:
        """Give back the addresses of an attachment. Idempotent."""
        for address in self.owned(container_id, ifname):
            with (
                map_errors(OSError, Internal, "cannot release an address", where=self._path(address)),
                contextlib.suppress(FileNotFoundError),
            ):
                os.unlink(self._path(address))
            self._memory.owners.pop(address, None)
            self._memory.changed = self._time()
            effect("host-local release")

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _time(self) -> int:
        return os.stat(self._directory).st_mtime_ns

    def _look(self) -> None:
        """Read the files that are not known, forget those that are gone."""
        with map_errors(OSError, Internal, "cannot read the reserved addresses", where=self._directory):
            names = [n for n in os.listdir(self._directory) if n != "lock" and not n.startswith(_LAST)]
            known = self._memory.owners
            found = {n: known.get(n) or self._read(n) for n in names}
            self._memory.owners = {n: owner for n, owner in found.items() if owner or not self._cut_short(n)}
            self._memory.changed = self._time()

    def _cut_short(self, name: str) -> bool:
        """Remove a reservation whose maker died before it wrote the owner: the lock is ours, so nobody is at it."""
        file = self._path(name)
        try:
            info = os.lstat(file)
            if info.st_size or not stat.S_ISREG(info.st_mode):
                return False
            os.unlink(file)
        except FileNotFoundError:
            pass
        return True

    def _read(self, name: str) -> str:
        try:
            fd = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            return os.read(fd, 4096).decode("utf-8", "replace").strip()
        except OSError:
            return ""
        finally:
            os.close(fd)

    def _confirmed(self, owner: str) -> list[str]:
        return [n for n, o in self._memory.owners.items() if o == owner and self._read(n) == owner]


def directory(data_dir: str, network: str) -> str:
    """Where a network's reservations are."""
    return os.path.join(data_dir or DATA_DIR, network)


@contextlib.contextmanager
def locked(path: str) -> Iterator[Store]:
    """Hold the directory's lock; makes the directory. Raises Refused (try again) when another holds it for a minute."""
    memory = _memories.setdefault(path, _Memory())
    deadline = time.monotonic() + _LOCK_SECONDS
    if not memory.turn.acquire(timeout=_LOCK_SECONDS):
        raise Refused(f"the lock of {path} is held", code=TRY_AGAIN)
    try:
        with map_errors(OSError, Internal, "cannot lock the reserved addresses", where=path):
            fd = _open_lock(path)
        try:
            _flock(fd, path, deadline)
            yield Store(path, memory)
        finally:
            os.close(fd)
    finally:
        memory.turn.release()


def _open_lock(path: str) -> int:
    flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(f"{path}/lock", flags, 0o750)
    except FileNotFoundError:
        os.makedirs(path, 0o755, exist_ok=True)
        return os.open(f"{path}/lock", flags, 0o750)


def _flock(fd: int, path: str, deadline: float) -> None:
    """Poll, as flock(2) itself cannot be told when to give up; the other is a plugin that needs a few milliseconds."""
    pause = 0.0005
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Refused(f"the lock of {path} is held", code=TRY_AGAIN) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.02)


def _owner(container_id: str, ifname: str) -> str:
    return f"{container_id.strip()}\r\n{ifname}"
