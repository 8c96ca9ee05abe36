"""Heads of HTTP/1.1 requests and responses, as far as an upgrade needs them (RFC 9112).

There are no bodies here: a connection carries one request, which is refused or becomes something else.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from cricket.errors import InvalidArgument

MAX_HEAD = 32 << 10
MAX_FIELDS = 100
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Fields = tuple[tuple[str, str], ...]


class Refused(InvalidArgument):
    """The request is answered with this status, text and these header fields, and the connection closed."""

    def __init__(self, status: int, text: str, fields: Fields = ()) -> None:
        super().__init__(text)
        self.status, self.fields = status, fields


class Request(msgspec.Struct, frozen=True):
    """A request head; field names are lower case, in their order, several times when sent several times."""

    method: str
    target: str
    fields: Fields

    def values(self, name: str) -> list[str]:
        """All values of a field, split at commas, without blanks and empty elements."""
        return split_values(self.fields, name)

    @property
    def path(self) -> str:
        """The target without query; an absolute target without scheme and authority."""
        target = self.target
        if not target.startswith("/"):
            target = "/" + target.partition("://")[2].partition("/")[2]
        return target.partition("?")[0]


class Response(msgspec.Struct, frozen=True):
    """A response head; field names are lower case."""

    status: int
    reason: str
    fields: Fields

    def values(self, name: str) -> list[str]:
        """All values of a field, split at commas."""
        return split_values(self.fields, name)


def split_values(fields: Fields, name: str) -> list[str]:
    """Values of a list-valued field (RFC 9110, section 5.6.1)."""
    return [v for key, text in fields if key == name for v in (part.strip(" \t") for part in text.split(",")) if v]


def parse_request(head: bytes) -> Request:
    """Parse a head that ends with an empty line. Raises Refused (400, 431, 505)."""
    first, fields = _parse(head)
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not words[1] or not words[2].startswith("HTTP/"):
        raise Refused(400, "malformed request line")
    method, target, version = words
    if version != "HTTP/1.1":
        raise Refused(505, "only HTTP/1.1 is spoken here")
    if not target.startswith(("/", "http://", "https://")) or not target.isascii():
        raise Refused(400, "malformed request target")
    if sum(name == "host" for name, _ in fields) != 1:
        raise Refused(400, "missing required Host header")
    lengths = split_values(fields, "content-length")
    if any(name == "transfer-encoding" for name, _ in fields) or any(length != "0" for length in lengths):
        raise Refused(400, "a request for an upgrade has no body")
    return Request(method, target, fields)


def parse_response(head: bytes) -> Response:
    """Parse a head that ends with an empty line. Raises InvalidArgument."""
    first, fields = _parse(head)
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise InvalidArgument("the server's answer is not HTTP/1.1", where=first[:80])
    return Response(int(code), reason, fields)


def _parse(head: bytes) -> tuple[str, Fields]:
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if len(lines) - 1 > MAX_FIELDS or len(head) > MAX_HEAD:
        raise Refused(431, "the request header is too large")
    first, *rest = lines
    if _BAD_VALUE.search(first):
        raise Refused(400, "control character in the first line")
    return first, tuple(_field(line) for line in rest)


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or _BAD_VALUE.search(value):
        raise Refused(400, "malformed header field")
    return name.lower(), value.strip(" \t")


def format_request(method: str, target: str, fields: Fields) -> bytes:
    """A request head."""
    return _format(f"{method} {target} HTTP/1.1", fields)


def format_response(status: int, fields: Fields, body: bytes = b"") -> bytes:
    """A response: for 101 the head alone, else with a plain text body and the end of the connection announced."""
    if status != 101:
        fields = (
            *fields,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        )
    return _format(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", fields) + body


def _format(first: str, fields: Fields) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")
