from __future__ import annotations

import pytest

from cricket.errors import InvalidArgument
from cricket.wire.http1 import Refused, format_request, format_response, parse_request, parse_response


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def test_a_request() -> None:
    request = parse_request(
        head("POST /exec/t?x=1 HTTP/1.1", "Host: a", "X-A: one,  two", "x-a:three", "Content-Length: 0")
    )
    assert (request.method, request.path) == ("POST", "/exec/t")
    assert request.values("x-a") == ["one", "two", "three"]


def test_an_absolute_target() -> None:
    assert parse_request(head("GET http://a:1/exec/t?q HTTP/1.1", "Host: a:1")).path == "/exec/t"


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (400, ["GET /"]),
        (400, ["GET  / HTTP/1.1", "Host: a"]),
        (400, ["G<T / HTTP/1.1", "Host: a"]),
        (400, ["GET x HTTP/1.1", "Host: a"]),
        (400, ["GET / HTTP/1.1"]),
        (400, ["GET / HTTP/1.1", "Host: a", "Host: b"]),
        (400, ["GET / HTTP/1.1", "Host: a", "no colon"]),
        (400, ["GET / HTTP/1.1", "Host: a", "name : x"]),
        (400, ["GET / HTTP/1.1", "Host: a", " folded: x"]),
        (400, ["GET / HTTP/1.1", "Host: a\x00b"]),
        (400, ["GET / HTTP/1.1", "Host: a\nX: b"]),
        (400, ["GET / HTTP/1.1", "Host: a", "Content-Length: 5"]),
        (400, ["GET / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"]),
        (505, ["GET / HTTP/1.0", "Host: a"]),
        (505, ["PRI * HTTP/2.0"]),
        (431, ["GET / HTTP/1.1", *(f"h{i}: x" for i in range(101))]),
        (431, ["GET / HTTP/1.1", "Host: " + "a" * 40000]),
    ],
)
def test_bad_requests_are_refused(status: int, lines: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_request(head(*lines))
    assert refused.value.status == status


def test_a_response() -> None:
    response = parse_response(format_response(101, (("Upgrade", "SPDY/3.1"),)))
    assert (response.status, response.values("upgrade")) == (101, ["SPDY/3.1"])
    assert format_response(404, (), b"gone").endswith(b"Content-Length: 4\r\nConnection: close\r\n\r\ngone")


@pytest.mark.parametrize("line", ["SSH-2.0-x", "HTTP/1.1 abc", "HTTP/2 200 OK"])
def test_what_is_no_response(line: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_response(head(line))


def test_requests_round_trip() -> None:
    request = parse_request(format_request("GET", "/x", (("Host", "h"), ("A", "b"))))
    assert request.fields == (("host", "h"), ("a", "b"))
