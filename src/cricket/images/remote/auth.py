"""Authorization towards one endpoint: Basic, Bearer with tokens from a token server, or a token given from outside.

Source: distribution's specification of token authentication (spec/auth/token, spec/auth/oauth).
"""

from __future__ import annotations

import base64
import functools
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from cricket.errors import CricketError, FailedPrecondition, Unauthenticated
from cricket.images.remote.challenge import Challenge, parse_challenges
from cricket.images.remote.connection import Pool
from cricket.images.remote.credentials import Credentials
from cricket.images.remote.endpoint import Endpoint
from cricket.images.remote.exchange import Reply, Request, exchange
from cricket.images.remote.failure import clean, status_error

_ANSWER_MAX = 1 << 20
_TOKEN_MAX = 64 << 10
_NO_POST = (400, 404, 405)  # how token servers without the OAuth2 endpoint answer a POST


class Authorizer:
    """Holds what is sent as Authorization to one endpoint; safe for threads, which share one token."""

    def __init__(self, pool: Pool, endpoint: Endpoint, find: Callable[[], Credentials], agent: str) -> None:
        """`find` is called at the first 401, once: files and helpers are not asked in vain."""
        self._pool, self._endpoint, self._find, self._agent = pool, endpoint, find, agent
        self._lock = threading.Lock()
        self._header = ""

    @functools.cached_property
    def _credentials(self) -> Credentials:
        return self._find()

    def header(self) -> str:
        """The value to send now, "" for none."""
        with self._lock:
            return self._header

    def answer(self, reply: Reply, used: str) -> bool:
        """After a 401 to a request that sent `used`: get what it asks for. False when there is nothing (else) to try.

        Raises what the token server's answer means, and FailedPrecondition for a challenge that cannot be trusted.
        """
        with self._lock:
            if self._header != used:
                return True  # another thread has answered it meanwhile
            challenges = parse_challenges(reply.challenges())
            for scheme in ("bearer", "basic"):
                for challenge in challenges:
                    if challenge.scheme == scheme:
                        new = self._bearer(challenge) if scheme == "bearer" else self._basic()
                        if new and new != used:
                            self._header = new
                            return True
            return False

    def _basic(self) -> str:
        found = self._credentials
        return _basic(found.username, found.secret) if found.username else ""

    def _bearer(self, challenge: Challenge) -> str:
        given = self._credentials
        if given.registry_token:
            return f"Bearer {_checked(given.registry_token, given.source)}"
        realm = self._realm(challenge)
        fields = {"service": challenge.parameters["service"]} if "service" in challenge.parameters else {}
        fields["scope"] = challenge.parameters.get("scope") or f"repository:{self._endpoint.repository}:pull"
        fetch = self._post if self._credentials.identity_token else self._get
        answer = fetch(realm, fields)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise Unauthenticated("the token server gave no token", where=realm)
        return f"Bearer {_checked(token, realm)}"

    def _realm(self, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        try:
            parts = urlsplit(realm)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise FailedPrecondition("the registry names no usable token server", where=clean(realm) or "no realm")
        if parts.scheme == "http" and not self._endpoint.plain:
            raise FailedPrecondition("the token server must be asked without TLS, which is refused", where=clean(realm))
        return realm

    def _get(self, realm: str, fields: dict[str, str]) -> dict[str, Any]:
        """The token endpoint: GET, with Basic where there is a name, else anonymously."""
        found = self._credentials
        private: tuple[tuple[str, str], ...] = ()
        if found.username or found.identity_token:
            fields = {**fields, "account": found.username} if found.username else fields
            private = (("Authorization", _basic(found.username, found.secret or found.identity_token)),)
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(fields)}"
        _, answer = self._ask(Request("GET", url, self._headers(), private))
        return _accepted(answer, realm)

    def _post(self, realm: str, fields: dict[str, str]) -> dict[str, Any]:
        """The OAuth2 endpoint: POST with the identity token as refresh token; some servers know only GET."""
        form = {"grant_type": "refresh_token", "client_id": "cricket", **fields}
        body = urlencode({**form, "refresh_token": self._credentials.identity_token}).encode()
        headers = {**self._headers(), "Content-Type": "application/x-www-form-urlencoded"}
        status, answer = self._ask(Request("POST", realm, headers, body=body))
        return self._get(realm, fields) if status in _NO_POST else _accepted(answer, realm)

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": self._agent, "Accept": "application/json"}

    def _ask(self, request: Request) -> tuple[int, bytes | CricketError]:
        """(status, body), with the error instead of a body when the status is not 200."""
        endpoint = self._endpoint
        own = urlsplit(request.url).netloc == endpoint.host
        tls = endpoint.tls if own else msgspec.structs.replace(endpoint.tls, client=())
        request = msgspec.structs.replace(request, tls=tls, dial_timeout=endpoint.dial_timeout)
        with exchange(self._pool, request) as reply:
            if reply.status == 200:
                return 200, reply.read(_ANSWER_MAX, "the token server's answer")
            error = status_error(reply.status, reply.headers, reply.error_body(), reply.where)
            if isinstance(error, Unauthenticated):
                error.what = error.what.replace("the registry", "the token server", 1)
            return reply.status, error


def _accepted(answer: bytes | CricketError, realm: str) -> dict[str, Any]:
    if isinstance(answer, CricketError):
        raise answer
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unauthenticated("the token server's answer is not a JSON object", where=realm)
    return document


def _basic(username: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def _checked(token: str, where: str) -> str:
    if len(token) > _TOKEN_MAX or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthenticated("a token has characters that no header may have", where=where)
    return token
