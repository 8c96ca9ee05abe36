"""Downloading one blob: resumed where an earlier attempt stopped, verified, from the first place that has it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from cricket.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    CricketError,
    DataLoss,
    Internal,
    RegistryUnavailable,
    ResourceExhausted,
)
from cricket.images.content import BlobWriter, ContentStore
from cricket.images.reference import parse_digest
from cricket.images.remote.client import start_of
from cricket.images.remote.failure import retryable
from cricket.images.remote.growing import GrowingBlob
from cricket.images.remote.manifest import Descriptor
from cricket.images.remote.retry import RetryPolicy, pause
from cricket.images.remote.sources import Opener, combined

_BUFFER = 256 << 10
_PROGRESS = 1 << 20  # an attempt that got this far was worth it: counting begins anew
_OTHER_PROCESS = 0.1


class Download:
    """One blob. `on_bytes(received, new)` is told how much there is, and how much of it just came."""

    def __init__(
        self,
        content: ContentStore,
        item: Descriptor,
        places: list[tuple[str, Opener]],
        policy: RetryPolicy,
        stop: threading.Event,
        on_bytes: Callable[[int, int], None],
    ) -> None:
        self.item, self.blob = item, GrowingBlob()
        self._content, self._places, self._policy = content, places, policy
        self._stop, self._on_bytes = stop, on_bytes
        self._partial = os.path.join(content.ingest, parse_digest(item.digest)[1])

    def run(self) -> None:
        """Download; the outcome, also an error, is the blob's. Blocks."""
        try:
            self._run()
            self.blob.finish(self._content.path(self.item.digest))
            self._on_bytes(self.item.size, 0)
        except CricketError as e:
            self.blob.fail(e)
        except Exception as e:
            error = Internal(f"unexpected {type(e).__name__} in a download", where=self.item.digest)
            error.__cause__ = e
            self.blob.fail(error)

    def _run(self) -> None:
        place, distrust = 0, False
        while True:
            with contextlib.ExitStack() as stack:
                writer = self._writer()
                if writer is None:
                    return
                stack.enter_context(writer)
                if distrust:
                    writer.restart()
                resumed = writer.offset > 0
                self.blob.begin(self._partial, writer.offset)
                try:
                    place = self._fill(writer, place)
                    writer.commit()
                    return
                except DataLoss:
                    # What an earlier attempt left may be at fault: the same place gets another chance, once.
                    place, distrust = place + (0 if resumed else 1), True
                    if place >= len(self._places):
                        raise

    def _writer(self) -> BlobWriter | None:
        """The right to write, waited for while another pull downloads the same blob; None when the blob is here."""
        while True:
            try:
                return self._content.writer(self.item.digest, self.item.size, "layer")
            except AlreadyExists:
                return None
            except Aborted:
                with contextlib.suppress(OSError):
                    self._on_bytes(os.stat(self._partial).st_size, 0)
            pause(self._stop, _OTHER_PROCESS)

    def _fill(self, writer: BlobWriter, first: int) -> int:
        """Bring the writer to its full size from the places from `first` on; returns which one did it."""
        failures: list[tuple[str, CricketError]] = []
        for number in range(first, len(self._places)):
            name, opener = self._places[number]
            policy = self._policy if number == len(self._places) - 1 else self._policy.once()
            try:
                self._persist(writer, opener, policy)
                return number
            except (Cancelled, DataLoss):
                raise
            except CricketError as e:
                if isinstance(e, ResourceExhausted | Internal) and not retryable(e):
                    raise  # our disk, not their registry
                failures.append((name, e))
        raise combined(failures)

    def _persist(self, writer: BlobWriter, opener: Opener, policy: RetryPolicy) -> None:
        """Receive from one place, resuming after failures as the policy allows."""
        attempt = 1
        while writer.offset < self.item.size:
            before = writer.offset
            try:
                self._receive(writer, opener)
            except CricketError as e:
                attempt = 1 if writer.offset - before >= _PROGRESS else attempt
                wait = policy.delay(attempt, e)
                if wait is None:
                    raise
                pause(self._stop, wait)
                attempt += 1

    def _receive(self, writer: BlobWriter, opener: Opener) -> None:
        size, buffer = self.item.size, memoryview(bytearray(min(_BUFFER, max(self.item.size, 1) + 1)))
        with opener(writer.offset) as reply:
            if start_of(reply, writer.offset) != writer.offset:
                writer.restart()
                self.blob.begin(self._partial, 0)
            rest = size - writer.offset
            if reply.length is not None and reply.length != rest:
                raise DataLoss(f"{reply.length} bytes are offered where {rest} are expected", where=reply.where)
            while received := reply.readinto(buffer):
                if self._stop.is_set():
                    raise Cancelled("the pull was stopped")
                writer.write(buffer[:received])
                self.blob.advance(writer.offset)
                self._on_bytes(writer.offset, received)
            if writer.offset < size:
                raise RegistryUnavailable(f"a layer ended after {writer.offset} of {size} bytes", where=reply.where)
