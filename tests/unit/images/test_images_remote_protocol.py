"""Challenges, manifests, platforms, proxies, retries and errors: what needs no server."""

from __future__ import annotations

import json
import threading
from http.client import HTTPMessage
from urllib.parse import urlsplit

import pytest

from cricket import errors
from cricket.errors import CricketError, InvalidArgument, NotFound, RegistryUnavailable, Unimplemented
from cricket.images.remote.challenge import Challenge, parse_challenges
from cricket.images.remote.failure import TooManyRequests, retryable, status_error
from cricket.images.remote.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Index,
    Manifest,
    choose,
    parse_manifest,
)
from cricket.images.remote.messages import failure, raised
from cricket.images.remote.platform import Platform, host_platform
from cricket.images.remote.proxy import Proxy, find_proxy
from cricket.images.remote.retry import RetryPolicy, retrying

D = "sha256:" + "a" * 64
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

CHALLENGES = [
    ('Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
    ("BASIC", [Challenge("basic", {})]),
    (
        'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"',
        [Challenge("bearer", {"realm": "https://a/token", "service": "s", "scope": "repository:a/b:pull,push"})],
    ),
    (
        'Bearer realm="r" , service=plain, Basic realm="b"',
        [Challenge("bearer", {"realm": "r", "service": "plain"}), Challenge("basic", {"realm": "b"})],
    ),
    (r'Bearer realm="a\"b\\c"', [Challenge("bearer", {"realm": 'a"b\\c'})]),
    ('Bearer realm = "x"', [Challenge("bearer", {"realm": "x"})]),
    ('Bearer realm="first", realm="second"', [Challenge("bearer", {"realm": "first"})]),
    ('Negotiate, Basic realm="b"', [Challenge("negotiate", {}), Challenge("basic", {"realm": "b"})]),
    ('Bearer realm="open', [Challenge("bearer", {})]),
    ("", []),
    ("===", []),
]


@pytest.mark.parametrize(("header", "expected"), CHALLENGES)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges([header]) == expected


def descriptor(media_type: str = LAYER, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": D, "size": 3, **more}


def manifest(**more: object) -> dict[str, object]:
    return {"schemaVersion": 2, "config": descriptor("x"), "layers": [descriptor()], **more}


def index(*items: dict[str, object], **more: object) -> dict[str, object]:
    return {"schemaVersion": 2, "manifests": list(items), **more}


def parsed(document: object, content_type: str = "") -> Manifest | Index:
    return parse_manifest(json.dumps(document).encode(), content_type, "here")


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST, f"{OCI_MANIFEST}; charset=utf-8", "", "text/plain"])
def test_manifest(kind: str) -> None:
    assert isinstance(parsed(manifest(), kind), Manifest)


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST, "application/json"])
def test_index(kind: str) -> None:
    assert isinstance(parsed(index(), kind), Index)


CONFUSED = [
    (manifest(mediaType=OCI_MANIFEST), OCI_INDEX, InvalidArgument, "but its Content-Type"),
    (manifest(mediaType=DOCKER_MANIFEST), OCI_MANIFEST, InvalidArgument, "but its Content-Type"),
    (manifest(manifests=[]), "", InvalidArgument, "both an index and a manifest"),
    (index(config=descriptor()), OCI_INDEX, InvalidArgument, "both an index and a manifest"),
    (manifest(), OCI_INDEX, InvalidArgument, "not what its type"),
    (index(), OCI_MANIFEST, InvalidArgument, "not what its type"),
    (index(mediaType=OCI_MANIFEST), "", InvalidArgument, "not what its type"),
    ({"schemaVersion": 2}, "", InvalidArgument, "no config or no layers"),
    ({}, "", InvalidArgument, "schemaVersion 0"),
    ([], "", InvalidArgument, "malformed"),
    (manifest(layers=3), "", InvalidArgument, "malformed"),
    (manifest(config=descriptor(digest="md5:1")), "", InvalidArgument, "malformed"),
    (manifest(config=descriptor(size=-1)), "", InvalidArgument, "negative"),
    (manifest(layers=[descriptor()] * 1001), "", InvalidArgument, "more than 1000"),
    ({"schemaVersion": 1, "fsLayers": []}, "", Unimplemented, "schema 1"),
    ({}, "application/vnd.docker.distribution.manifest.v1+prettyjws", Unimplemented, "schema 1"),
    (manifest(fsLayers=[]), OCI_MANIFEST, Unimplemented, "schema 1"),
    (manifest(), "text/html", Unimplemented, "not a type"),
    (manifest(mediaType="application/x"), "", Unimplemented, "not a type"),
    (manifest(layers=[descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip")]), "", Unimplemented, "image"),
    (manifest(layers=[descriptor("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")]), "", Unimplemented, "encr"),
]


@pytest.mark.parametrize(("document", "content_type", "kind", "words"), CONFUSED)
def test_contradictions_are_refused(document: object, content_type: str, kind: type[CricketError], words: str) -> None:
    with pytest.raises(kind, match=words):
        parsed(document, content_type)


def entry(platform: str, number: int, **more: object) -> dict[str, object]:
    system, architecture, variant = (*platform.split("/"), "", "")[:3]
    value = {"os": system, "architecture": architecture, "variant": variant}
    return {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}", "size": 1, "platform": value, **more}


@pytest.mark.parametrize(
    ("mine", "theirs", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["windows/amd64", "linux/386"], 1),
        ("linux/amd64", ["linux/386", "linux/amd64"], 1),
        ("linux/amd64", ["linux/amd64/v2", "linux/amd64/v1"], 1),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v4", "linux/amd64/v2"], 2),
        ("linux/x86_64", ["linux/amd64"], 0),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/arm64/v8", ["linux/arm64"], 0),
        ("linux/aarch64", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm64/v9", ["linux/arm64/v8.3", "linux/arm64/v8.5", "linux/arm64/v8.6"], 1),
        ("linux/arm64/v8.2", ["linux/arm64/v8.3", "linux/arm64/v8.1", "linux/arm64"], 1),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm/v5", "linux/arm/v6"], 2),
        ("linux/arm", ["linux/arm64", "linux/arm/v7"], 1),
        ("linux/s390x", ["linux/amd64", "linux/s390x"], 1),
        ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
    ],
)
def test_choice_of_platform(mine: str, theirs: list[str], best: int) -> None:
    document = parsed(index(*(entry(text, n) for n, text in enumerate(theirs))))
    assert isinstance(document, Index)
    assert choose(document, Platform.parse(mine), "here").digest == f"sha256:{best:064x}"


def test_attestations_and_companions_are_passed_over() -> None:
    attestation = entry("linux/amd64", 0, annotations={"vnd.docker.reference.type": "attestation-manifest"})
    other = entry("linux/amd64", 1, mediaType="application/vnd.example+json")
    bare = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{2:064x}", "size": 1}
    document = parsed(index(attestation, other, entry("unknown/unknown", 3), bare))
    assert isinstance(document, Index)
    assert choose(document, host_platform(), "here").digest == f"sha256:{2:064x}"


def test_no_platform_tells_what_there_is() -> None:
    document = parsed(index(entry("linux/s390x", 0), entry("windows/amd64", 1)))
    assert isinstance(document, Index)
    with pytest.raises(NotFound, match="linux/riscv64.*linux/s390x, windows/amd64"):
        choose(document, Platform.parse("linux/riscv64"), "here")


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://r.local/", False),
        ("", "https://localhost:5000/", True),
        ("", "https://127.0.0.1/", True),
        ("r.local", "https://r.local/", True),
        ("r.local", "https://a.r.local/", True),
        (".r.local", "https://a.r.local/", True),
        ("*.r.local", "https://a.r.local/", True),
        ("r.local", "https://xr.local/", False),
        ("r.local:5000", "https://r.local:5000/", True),
        ("r.local:5000", "https://r.local/", True),
        ("10.0.0.0/8, x", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("*", "https://r.local/", True),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, direct: bool) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.local:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    expected = None if direct else Proxy("proxy.local", 3128, "Basic dXNlcjpwQHNz")
    assert find_proxy(urlsplit(url)) == expected
    assert find_proxy(urlsplit("http://r.local/")) is None


def headers(**values: str) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("status", "kind", "again"),
    [
        (400, errors.FailedPrecondition, False),
        (401, errors.Unauthenticated, False),
        (403, errors.PermissionDenied, False),
        (404, errors.NotFound, False),
        (408, errors.RegistryUnavailable, True),
        (429, errors.ResourceExhausted, True),
        (500, errors.RegistryUnavailable, True),
        (503, errors.RegistryUnavailable, True),
    ],
)
def test_statuses_are_kinds(status: int, kind: type[CricketError], again: bool) -> None:
    error = status_error(status, headers(), b'{"errors":[{"code":"X","message":"because\\u0007"}]}', "GET u")
    assert isinstance(error, kind)
    assert "X because" in str(error) and "\a" not in str(error)
    assert retryable(error) is again
    assert type(raised(failure(error))) is kind
    assert str(error).startswith("RegistryUnavailable: ") is (kind is errors.RegistryUnavailable)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[" * 100000, b"\xff\xfe", b'{"errors": 3}', b'{"errors": [3]}']
)
def test_error_bodies_of_any_kind(body: bytes) -> None:
    assert isinstance(status_error(500, headers(), body, "u"), RegistryUnavailable)


def test_back_off_grows_and_honours_retry_after() -> None:
    policy = RetryPolicy(attempts=4, base=1.0, cap=3.0, patience=60.0)
    error = RegistryUnavailable("x")
    for attempt, top in ((1, 1.0), (2, 2.0), (3, 3.0)):
        wait = policy.delay(attempt, error)
        assert wait is not None and top / 2 <= wait <= top
    assert policy.delay(4, error) is None
    assert policy.delay(1, NotFound("x")) is None
    limited = status_error(429, headers(Retry_After="7"), b"", "u")
    assert isinstance(limited, TooManyRequests) and policy.delay(1, limited) == 7.0
    far = status_error(429, headers(Retry_After="3600"), b"", "u")
    assert policy.delay(1, far) is None
    dated = status_error(503, headers(Retry_After="Wed, 21 Oct 2065 07:28:00 GMT"), b"", "u")
    assert policy.delay(1, dated) is None
    odd = status_error(503, headers(Retry_After="soon"), b"", "u")
    assert policy.delay(1, odd) is not None
    assert policy.once().delay(1, error) is None


def test_retrying_stops_when_told() -> None:
    stop = threading.Event()
    calls = []

    def call() -> None:
        calls.append(1)
        stop.set()
        raise RegistryUnavailable("x")

    with pytest.raises(errors.Cancelled):
        retrying(RetryPolicy(), stop, call)
    assert len(calls) == 1


def test_errors_keep_their_cause_across_processes() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as e:
            raise RegistryUnavailable("cannot reach the registry", where="u", todo="Wait.") from e
    except RegistryUnavailable as e:
        again = raised(failure(e))
    assert str(again) == "RegistryUnavailable: cannot reach the registry: Connection refused (u). Wait."
