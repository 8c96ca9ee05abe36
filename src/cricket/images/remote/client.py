"""The registry API (OCI distribution-spec 1.1, "Pull") at one endpoint. Blocking; safe for threads."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from cricket import __version__
from cricket.errors import CricketError, DataLoss, FailedPrecondition, RegistryUnavailable
from cricket.images.reference import parse_digest
from cricket.images.remote.auth import Authorizer
from cricket.images.remote.connection import Pool
from cricket.images.remote.credentials import Credentials
from cricket.images.remote.endpoint import Endpoint, Tls
from cricket.images.remote.exchange import Reply, Request, exchange
from cricket.images.remote.failure import status_error
from cricket.images.remote.manifest import ACCEPT

AGENT = f"cricket/{__version__}"
_BAD_REQUEST = 400
_ROUNDS = 3  # one without token, one with, one more when the token ran out meanwhile


class Fetched(msgspec.Struct, frozen=True):
    """A manifest as bytes, verified: `digest` is theirs."""

    digest: str
    content_type: str
    body: bytes


class RegistryClient:
    """Requests to one endpoint for one repository. Errors name method and URL."""

    def __init__(self, pool: Pool, endpoint: Endpoint, find: Callable[[], Credentials], manifest_limit: int) -> None:
        """`find` gets the credentials when the registry asks for some."""
        self.endpoint = endpoint
        self._pool, self._limit = pool, manifest_limit
        self._auth = Authorizer(pool, endpoint, find, AGENT)
        self._speaks: str = ""  # "https" or "http", once an endpoint with a fallback has answered

    def digest_of_tag(self, tag: str) -> str:
        """The digest that a tag has now (HEAD, which costs no pull quota); "" when the registry does not say.

        Raises NotFound, Unauthenticated, PermissionDenied, RegistryUnavailable, ... of `status_error`.
        """
        with self._request("HEAD", f"manifests/{tag}", {"Accept": ACCEPT}) as reply:
            digest = reply.headers.get("Docker-Content-Digest", "").strip() if reply.status == 200 else ""
        try:
            parse_digest(digest)
        except CricketError:
            return ""
        return digest

    def manifest(self, target: str) -> Fetched:
        """The manifest or index of a tag or digest, at most the limit's bytes.

        Raises DataLoss when it does not have the digest that was asked for (or that the registry announced).
        """
        with self._request("GET", f"manifests/{target}", {"Accept": ACCEPT}) as reply:
            body = reply.read(self._limit, "the manifest")
            content_type = reply.headers.get("Content-Type", "")
            announced = reply.headers.get("Docker-Content-Digest", "").strip()
            where = reply.where
        wanted = target if ":" in target else announced
        if not wanted:
            return Fetched(f"sha256:{hashlib.sha256(body).hexdigest()}", content_type, body)
        algorithm, value = parse_digest(wanted)
        if hashlib.new(algorithm, body).hexdigest() != value:
            raise DataLoss("the manifest does not have its digest", where=f"{where}, {wanted}")
        return Fetched(wanted, content_type, body)

    def blob(self, digest: str, offset: int = 0) -> Reply:
        """The blob from byte `offset` on. The caller closes it, and looks at `start_of` where it begins."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._request("GET", f"blobs/{digest}", headers)

    def _request(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        """One request with authorization; raises for every status but 200 and 206."""
        for _ in range(_ROUNDS):
            used = self._auth.header()
            reply = self._exchange(method, path, headers, used)
            if reply.status in (200, 206):
                return reply
            with reply:
                body = reply.error_body()
                answered = reply.status == 401 and not reply.redirected and self._auth.answer(reply, used)
            if not answered:
                break
        raise status_error(reply.status, reply.headers, body, f"{method} {reply.where}")

    def _exchange(self, method: str, path: str, headers: dict[str, str], authorization: str) -> Reply:
        endpoint = self.endpoint
        query = f"?{urlencode({'ns': endpoint.namespace})}" if endpoint.namespace else ""
        url = f"{endpoint.url}/{endpoint.repository}/{path}{query}"
        private = endpoint.headers + ((("Authorization", authorization),) if authorization else ())
        request = Request(
            method,
            url,
            {"User-Agent": AGENT, "Accept-Encoding": "identity", **headers},
            private,
            tls=endpoint.tls,
            dial_timeout=endpoint.dial_timeout,
            plain_redirects=endpoint.plain,
        )
        return self._fall_back(request) if endpoint.http_fallback else exchange(self._pool, request)

    def _fall_back(self, request: Request) -> Reply:
        """https first, then http; what answered once is used from then on."""
        plain = msgspec.structs.replace(request, url="http" + request.url.removeprefix("https"))
        if self._speaks:
            return exchange(self._pool, request if self._speaks == "https" else plain)
        try:
            reply = exchange(self._pool, request)
            self._speaks = "https"
        except RegistryUnavailable as no_tls:
            try:
                reply = exchange(self._pool, plain)
            except RegistryUnavailable as no_http:
                error = no_http if _is_not_tls(no_tls.__cause__) else no_tls
                raise error from error.__cause__
            if reply.status == _BAD_REQUEST:  # it does speak TLS, and did not like ours
                reply.close()
                raise
            self._speaks = "http"
        return reply


def _is_not_tls(cause: BaseException | None) -> bool:
    """Whether a port answers, but not in TLS (then it is meant for http). An alert is TLS."""
    return isinstance(cause, ssl.SSLError) and "ALERT" not in (cause.reason or "")


def foreign_blob(pool: Pool, url: str, offset: int) -> Reply:
    """A blob from a URL of its descriptor: https only, system CAs, and no credentials whatever."""
    if not url.startswith("https://"):
        raise FailedPrecondition("only https is used for layers outside the registry", where=url.partition("?")[0])
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    reply = exchange(pool, Request("GET", url, headers, tls=Tls()))
    if reply.status in (200, 206):
        return reply
    with reply:
        raise status_error(reply.status, reply.headers, reply.error_body(), f"GET {reply.where}")


def start_of(reply: Reply, wanted: int) -> int:
    """The offset at which the body begins: `wanted`, or 0 where the server ignores ranges.

    Raises FailedPrecondition for a range that was not asked for.
    """
    if reply.status == 200:
        return 0
    given = reply.headers.get("Content-Range", "")
    unit, _, rest = given.partition(" ")
    first = rest.partition("-")[0].strip()
    if unit.lower() != "bytes" or not first.isdecimal() or int(first) != wanted:
        raise FailedPrecondition("the registry sent another range than was asked for", where=reply.where)
    return wanted
