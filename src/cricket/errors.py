"""One taxonomy of errors; each kind knows its gRPC code.

Everything that can go wrong is raised as a `CricketError` at the place of the syscall, request or process that failed,
and becomes a gRPC status in exactly one place (`cri/interceptor.py`). Kinds are classes: nobody matches on text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum


class Code(IntEnum):
    """gRPC status codes (same numbers as the gRPC specification), kept here so that no lower room imports gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class CricketError(Exception):
    """What failed, where, and what to do about it.

    `what` is a sentence without a final stop; `where` names the object (path, id, key, URL); `todo` is advice.
    `str()` joins them: "what (where): todo", followed by the cause when there is one.
    """

    code: Code = Code.UNKNOWN

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.todo = what, where, todo

    def __str__(self) -> str:
        text = f"{self.what} ({self.where})" if self.where else self.what
        cause = self.__cause__
        if cause is not None and (words := _cause_text(cause, self.where)):
            text += f": {words}"
        if self.todo:
            text += f". {self.todo}"
        return text


def _cause_text(cause: BaseException, where: str) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        told = cause.filename in (None, "", where)
        return cause.strerror.lower() + ("" if told else f" ({cause.filename})")
    return str(cause)


class InvalidArgument(CricketError):
    """The request itself is wrong; a retry without change fails again."""

    code = Code.INVALID_ARGUMENT


class NotFound(CricketError):
    """The named object does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(CricketError):
    """The name or id is taken by something else."""

    code = Code.ALREADY_EXISTS


class FailedPrecondition(CricketError):
    """The object exists but its state forbids the operation; also every illegal transition."""

    code = Code.FAILED_PRECONDITION


class PermissionDenied(CricketError):
    """Policy or the kernel refuses."""

    code = Code.PERMISSION_DENIED


class Unauthenticated(CricketError):
    """The registry wants (other) credentials."""

    code = Code.UNAUTHENTICATED


class ResourceExhausted(CricketError):
    """A limit of ours or of the kernel was reached (disk, addresses, size)."""

    code = Code.RESOURCE_EXHAUSTED


class DeadlineExceeded(CricketError):
    """Something took longer than it was allowed to."""

    code = Code.DEADLINE_EXCEEDED


class Aborted(CricketError):
    """A concurrent operation won; the caller may try again."""

    code = Code.ABORTED


class Cancelled(CricketError):
    """The caller went away."""

    code = Code.CANCELLED


class Unimplemented(CricketError):
    """This runtime, handler or kernel cannot do it."""

    code = Code.UNIMPLEMENTED


class Unavailable(CricketError):
    """A service or file that should come back is away for now; a retry makes sense."""

    code = Code.UNAVAILABLE


class Internal(CricketError):
    """A step that should have worked failed (a syscall, a process): a bug or a broken host."""

    code = Code.INTERNAL


class DataLoss(CricketError):
    """Stored bytes do not have the digest or schema that they should have."""

    code = Code.DATA_LOSS


class RegistryUnavailable(CricketError):
    """A pull failed because the registry did (kubelet: `ErrRegistryUnavailable`); the prefix is read by the kubelet."""

    def __str__(self) -> str:
        return "RegistryUnavailable: " + super().__str__()


class SignatureValidationFailed(CricketError):
    """A pull failed because a signature did not verify; the prefix is read by the kubelet."""

    def __str__(self) -> str:
        return "SignatureValidationFailed: " + super().__str__()


class ImageVolumeMountFailed(CricketError):
    """An image volume could not be mounted; the prefix is read by the kubelet."""

    def __str__(self) -> str:
        return "ImageVolumeMountFailed: " + super().__str__()


class RROUnsupported(CricketError):
    """Recursive read-only mounts are not supported here; the prefix is read by the kubelet."""

    def __str__(self) -> str:
        return "RROUnsupported: " + super().__str__()


@contextlib.contextmanager
def map_errors(
    source: type[BaseException] | tuple[type[BaseException], ...],
    kind: type[CricketError],
    what: str,
    *,
    where: str = "",
    todo: str = "",
) -> Iterator[None]:
    """Translate `source` errors raised in the block to `kind`, chained; a `CricketError` passes through as it is."""
    try:
        yield
    except CricketError:
        raise
    except source as e:
        raise kind(what, where=where, todo=todo) from e
