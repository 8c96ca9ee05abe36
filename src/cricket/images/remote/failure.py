"""What went wrong at a registry, as errors: HTTP statuses and network failures, and which of them may be retried."""

from __future__ import annotations

import contextlib
import email.utils
import json
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPMessage

from cricket.errors import (
    CricketError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    RegistryUnavailable,
    ResourceExhausted,
    Unauthenticated,
)

_TEXT_MAX = 300


class TooManyRequests(ResourceExhausted):
    """429: `retry_after` seconds are asked for, 0 when the registry does not say."""

    retry_after = 0.0


class Overloaded(RegistryUnavailable):
    """5xx with a wish for when to come back, in seconds."""

    retry_after = 0.0


def status_error(status: int, headers: HTTPMessage, body: bytes, where: str) -> CricketError:
    """The error for a status that is no success. `where` is the method and URL without secrets."""
    said = _said(body)
    tail = f": {said}" if said else ""
    if status == 401:
        return Unauthenticated(
            f"the registry refused access (401){tail}", where=where, todo="Does the pod have the right imagePullSecret?"
        )
    if status == 403:
        return PermissionDenied(f"the registry forbids it (403){tail}", where=where)
    if status == 404:
        return NotFound(f"the registry does not have it (404){tail}", where=where)
    if status == 429:
        limited = TooManyRequests(f"the registry limits the rate of requests (429){tail}", where=where)
        limited.retry_after = _retry_after(headers)
        return limited
    if status >= 500 or status == 408:
        unready = Overloaded(f"the registry answered {status}{tail}", where=where)
        unready.retry_after = _retry_after(headers)
        return unready
    return FailedPrecondition(f"the registry answered {status}{tail}", where=where)


@contextlib.contextmanager
def network_errors(where: str) -> Iterator[None]:
    """Translate failures of sockets, TLS and HTTP framing to RegistryUnavailable."""
    try:
        yield
    except TimeoutError as e:
        raise RegistryUnavailable("the registry sent nothing for too long", where=where) from e
    except ssl.SSLCertVerificationError as e:
        raise FailedPrecondition(
            "the registry's certificate is not trusted",
            where=where,
            todo="Put its CA beside hosts.toml (key ca) or, as *.crt, into the registry's directory in certs.d",
        ) from e
    except OSError as e:
        raise RegistryUnavailable("cannot reach the registry", where=where) from e
    except (HTTPException, ValueError) as e:
        raise RegistryUnavailable("the registry's answer is not HTTP", where=where) from e


def retryable(error: CricketError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, RegistryUnavailable | TooManyRequests)


def clean(text: str, limit: int = _TEXT_MAX) -> str:
    """Printable text of bounded length from what a server said."""
    return "".join(c if c.isprintable() else " " for c in text[: limit * 2]).strip()[:limit]


def _said(body: bytes) -> str:
    """The messages of a distribution error document, or the text itself when it is short and plain."""
    try:
        document = json.loads(body)
        errors = document.get("errors") or []
        parts = [" ".join(str(e.get(k)) for k in ("code", "message") if e.get(k)) for e in errors[:3]]
        return clean("; ".join(parts) or str(document.get("details") or document.get("error") or ""))
    except (ValueError, AttributeError, TypeError, RecursionError):
        text = body.decode("utf-8", "replace")
        return "" if "<" in text else clean(text)


def _retry_after(headers: HTTPMessage) -> float:
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal() and len(value) < 10:
        return float(value)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
