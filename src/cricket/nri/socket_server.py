"""The socket that external plugins connect to."""

from __future__ import annotations

import os
import socket

from cricket.errors import AlreadyExists, Internal, map_errors
from cricket.kernel.files import make_dir, remove_file

_BACKLOG = 32


def listen(path: str) -> socket.socket:
    """A listening, non-blocking socket at `path`, which only root may use.

    A socket that a dead daemon left behind is replaced. Raises AlreadyExists when somebody listens there (the default
    path is shared with other runtimes), Internal when the socket cannot be made.
    """
    make_dir(os.path.dirname(path), 0o700)
    if _answers(path):
        raise AlreadyExists(
            "another runtime serves NRI at this socket", where=path, todo="Set nri.socket to another path."
        )
    remove_file(path)
    with map_errors(OSError, Internal, "cannot listen for NRI plugins", where=path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(path)
            os.chmod(path, 0o600)
            sock.listen(_BACKLOG)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return sock


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is an answer too
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
