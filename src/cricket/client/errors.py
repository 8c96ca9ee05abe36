"""What can go wrong with a runtime at the other end of a socket."""

from __future__ import annotations

from cricket.errors import Code, CricketError, InvalidArgument, Unavailable


class EndpointError(InvalidArgument):
    """What was given is no endpoint that can be connected to."""


class UnreachableError(Unavailable):
    """Nobody answers on the socket."""


class RemoteError(CricketError):
    """The runtime refused or failed; `code` is what it answered, `what` its own words."""

    def __init__(self, code: Code, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.code = code
