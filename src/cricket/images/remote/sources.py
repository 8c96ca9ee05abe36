"""The endpoints of one reference together: each thing is asked for in order, until one has it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from cricket.errors import Cancelled, CricketError, DataLoss, FailedPrecondition, InvalidArgument, NotFound
from cricket.images.reference import Reference
from cricket.images.remote.client import Fetched, RegistryClient, foreign_blob
from cricket.images.remote.connection import Pool
from cricket.images.remote.credentials import Keyring
from cricket.images.remote.endpoint import Endpoint
from cricket.images.remote.exchange import Reply
from cricket.images.remote.failure import retryable
from cricket.images.remote.manifest import Descriptor
from cricket.images.remote.retry import RetryPolicy, retrying

T = TypeVar("T")
Opener = Callable[[int], Reply]


class Sources:
    """Clients for the endpoints, the one that answered last first. Safe for threads after `manifest_of_target`."""

    def __init__(
        self,
        reference: Reference,
        endpoints: Sequence[Endpoint],
        keyring: Keyring,
        pool: Pool,
        policy: RetryPolicy,
        stop: threading.Event,
        manifest_limit: int,
    ) -> None:
        self._reference, self._pool, self._policy, self._stop = reference, pool, policy, stop
        self._clients = [
            RegistryClient(pool, e, functools.partial(keyring.find, e, reference), manifest_limit) for e in endpoints
        ]

    @property
    def first(self) -> Endpoint:
        """The endpoint that is asked first."""
        return self._clients[0].endpoint

    def manifest_of_target(self, known: Sequence[str]) -> Fetched | str:
        """What the reference's tag or digest stands for; only the digest when a tag still has one of the `known`.

        A registry is asked with HEAD first when digests are known: that is quick and costs no quota. Raises the error
        of the last endpoint, with those of the others in its text.
        """

        def ask(client: RegistryClient) -> Fetched | str:
            target = self._reference.target
            if known and not self._reference.digest:
                digest = ""
                with contextlib.suppress(NotFound, FailedPrecondition):  # some registries know no HEAD: GET decides
                    digest = client.digest_of_tag(target)
                if digest in known:
                    return digest
                target = digest or target
            return client.manifest(target)

        return self._first(ask)

    def manifest(self, digest: str) -> Fetched:
        """A manifest by digest, from whichever endpoint has it."""
        return self._first(lambda client: client.manifest(digest))

    def blobs(self, item: Descriptor) -> list[tuple[str, Opener]]:
        """(name, opener) of the places that may have a blob, in the order of trying."""
        registries: list[tuple[str, Opener]] = [
            (client.endpoint.host, functools.partial(client.blob, item.digest)) for client in self._clients
        ]
        foreign: list[tuple[str, Opener]] = [
            (url.partition("?")[0], functools.partial(foreign_blob, self._pool, url)) for url in item.urls or ()
        ]
        return foreign + registries if item.foreign else registries + foreign

    def _first(self, ask: Callable[[RegistryClient], T]) -> T:
        """Ask each client in order; the one that answers moves to the front."""
        failures: list[tuple[str, CricketError]] = []
        for number, client in enumerate(self._clients):
            last = number == len(self._clients) - 1
            policy = self._policy if last else self._policy.once()
            try:
                answer = retrying(policy, self._stop, functools.partial(ask, client))
            except Cancelled:
                raise
            except CricketError as e:
                failures.append((client.endpoint.host, e))
                continue
            self._clients.insert(0, self._clients.pop(number))
            return answer
        raise combined(failures)


def combined(failures: Sequence[tuple[str, CricketError]]) -> CricketError:
    """The error to raise when every place failed: that of the last, which is the registry itself.

    Only where the last merely does not have it may an earlier one say more (it was away, or has it broken).
    """
    error = failures[-1][1]
    for _, other in failures[:-1]:
        if isinstance(error, NotFound) and (retryable(other) or isinstance(other, DataLoss | InvalidArgument)):
            error = other
    rest = [f"{n}: {e.what}" for n, e in failures if e is not error]
    if rest and "; also tried " not in error.what:
        error.what += f"; also tried {'; '.join(rest)}"
    return error
