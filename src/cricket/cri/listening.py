"""The path of the listening socket: a stale one goes, one that answers stays."""

from __future__ import annotations

import os
import socket
import stat

from cricket.errors import AlreadyExists, FailedPrecondition, Internal, map_errors


def prepare(path: str) -> None:
    """Make the directory of `path` (mode 0711) and clear the way for a new socket.

    Raises AlreadyExists when a process answers on it, FailedPrecondition when it is no socket or too long a path.
    """
    if len(os.fsencode(path)) > 107:
        raise FailedPrecondition("the path is too long for a unix socket (107 bytes)", where=path)
    directory = os.path.dirname(path)
    with map_errors(OSError, Internal, "cannot make the directory of the socket", where=directory):
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o711)
            # The umask may have taken bits away.
            os.chmod(directory, 0o711)
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
    if not stat.S_ISSOCK(mode):
        raise FailedPrecondition("the path of the socket is taken by something else", where=path)
    if _answers(path):
        raise AlreadyExists("another process serves this socket", where=path, todo="Stop it first")
    with map_errors(OSError, Internal, "cannot remove the stale socket", where=path):
        os.unlink(path)


def listen(path: str, mode: int, gid: int | None) -> socket.socket:
    """A socket bound to `path` with this mode and group, not yet listening; `prepare` comes first. Raises Internal."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # It must never be open to all, not even until chmod.
        umask = os.umask(0o777 & ~mode)
        try:
            with map_errors(OSError, Internal, "cannot listen", where=path):
                server.bind(path)
        finally:
            os.umask(umask)
        with map_errors(OSError, Internal, "cannot set the mode of the socket", where=path):
            if gid is not None:
                os.chown(path, -1, gid)
            os.chmod(path, mode)
    except BaseException:
        server.close()
        raise
    return server


def _answers(path: str) -> bool:
    """Whether somebody accepts. A full backlog (EAGAIN) is an answer too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
