"""Names of images, good and bad, in the kubelet's words."""

from __future__ import annotations

import pytest

from cricket.kubelet.image_name import mistake

HEX = "0123456789abcdef" * 4
GOOD = [
    "busybox", "busybox:1", "library/busybox", "docker.io/library/busybox:1.36", "localhost/x", "localhost:5000/x:y",
    "[::1]:5000/a/b", "Example.com/x", "a.b/c__d/e---f", f"busybox@sha256:{HEX}", f"x:1@sha256:{HEX}", "Host/x",
]  # fmt: skip
BAD = {
    "": "invalid reference format",
    "NoSuch:1:2": "invalid reference format: repository name (library/NoSuch) must be lowercase",
    "a/B": "invalid reference format: repository name (a/B) must be lowercase",
    "a:b:c": "invalid reference format",
    "a b": "invalid reference format",
    "-a": "invalid reference format",
    "a//b": "invalid reference format",
    "a:": "invalid reference format",
    HEX: f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings",
    "a/" * 127 + "ab": "repository name must not be more than 255 characters",
    f"a@sha256:{HEX[:60]}": "invalid checksum digest length",
    f"a@sha256:{HEX.upper()}": "invalid checksum digest format",
    f"a@md5:{HEX}": "unsupported digest algorithm",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    assert mistake(name) == ""


@pytest.mark.parametrize(("name", "why"), BAD.items(), ids=range(len(BAD)))
def test_bad(name: str, why: str) -> None:
    said = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {why}'
    assert mistake(name) == said
