"""Normalisation of image references."""

from __future__ import annotations

import pytest

from cricket.errors import InvalidArgument
from cricket.images.reference import Reference, is_short, parse_digest

D = "sha256:" + "0123456789abcdef" * 4

GOOD = {
    "busybox": "docker.io/library/busybox:latest",
    "busybox:1.36": "docker.io/library/busybox:1.36",
    "user/app": "docker.io/user/app:latest",
    "docker.io/busybox": "docker.io/library/busybox:latest",
    "docker.io/library/busybox": "docker.io/library/busybox:latest",
    "index.docker.io/busybox:x": "docker.io/library/busybox:x",
    "registry-1.docker.io/library/a": "registry-1.docker.io/library/a:latest",
    "localhost/app": "localhost/app:latest",
    "localhost:5000/app": "localhost:5000/app:latest",
    "example.com/a/b/c": "example.com/a/b/c:latest",
    "example.com:443/a": "example.com:443/a:latest",
    "127.0.0.1:5000/a:b": "127.0.0.1:5000/a:b",
    "[::1]:5000/a": "[::1]:5000/a:latest",
    "Host/app": "Host/app:latest",
    "example.com": "docker.io/library/example.com:latest",
    "localhost": "docker.io/library/localhost:latest",
    "a:5000": "docker.io/library/a:5000",
    "a__b/c-d.e--f": "docker.io/a__b/c-d.e--f:latest",
    f"busybox@{D}": f"docker.io/library/busybox@{D}",
    f"busybox:1@{D}": f"docker.io/library/busybox:1@{D}",
    f"h:1/a:v_1.0-x@{D}": f"h:1/a:v_1.0-x@{D}",
    "a@sha512:" + "0" * 128: "docker.io/library/a@sha512:" + "0" * 128,
    "a:" + "t" * 128: "docker.io/library/a:" + "t" * 128,
}

BAD = {
    "": "empty",
    " busybox": "white space",
    "busybox\n": "white space",
    "https://example.com/a": "scheme",
    "docker://a": "scheme",
    "Busybox": "lower case",
    "example.com/App": "lower case",
    "a:": "tag",
    "a:-x": "tag",
    "a:" + "t" * 129: "tag",
    "a@": "digest",
    "a@sha256:abc": "64",
    "a@sha256:" + "A" * 64: "lower-case",
    "a@md5:" + "0" * 32: "algorithm",
    f"a@{D}@{D}": "64",
    "a//b": "malformed",
    "a/": "malformed",
    "/a": "malformed",
    "a:b:c": "malformed",
    "-host.com/a": "host name",
    "host..com/a": "host name",
    "host:port/a": "host name",
    "a___b": "malformed",
    "a..b": "malformed",
    "0" * 64: "image id",
    "x" * 256: "longer than 255",
    "y" * 5000: "longer than 600",
    "exämple.com/a": "host name",
    "a/b\0": "malformed",
}


@pytest.mark.parametrize(("text", "canonical"), GOOD.items())
def test_normalises(text: str, canonical: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert Reference.parse(canonical) == reference


@pytest.mark.parametrize(("text", "word"), BAD.items())
def test_refuses_and_says_why(text: str, word: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid image reference") as e:
        Reference.parse(text)
    assert word in e.value.what or word in str(e.value)
    assert len(str(e.value)) < 1000


def test_parts() -> None:
    reference = Reference.parse(f"example.com:5000/a/b:1@{D}")
    assert (reference.domain, reference.path, reference.tag, reference.digest) == ("example.com:5000", "a/b", "1", D)
    assert reference.name == "example.com:5000/a/b"
    assert reference.target == D
    assert reference.tagged == ""
    assert reference.with_digest(D) == f"example.com:5000/a/b@{D}"
    assert Reference.parse("a:1").tagged == "docker.io/library/a:1"
    assert Reference.parse("a:1").target == "1"


@pytest.mark.parametrize(
    ("text", "short"),
    [("a", True), ("a/b", True), ("a:5000", True), ("h.com/a", False), ("localhost/a", False), ("h:1/a", False)],
)
def test_short_names(text: str, short: bool) -> None:
    assert is_short(text) is short


def test_digests() -> None:
    assert parse_digest(D) == ("sha256", D[7:])
    with pytest.raises(InvalidArgument, match="Known: sha256"):
        parse_digest("crc32:00")
