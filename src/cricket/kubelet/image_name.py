"""What is no name of an image (distribution/reference, as the kubelet asks it before any pull): without I/O."""

from __future__ import annotations

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_NAME = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_HEX = {"sha256": 64, "sha384": 96, "sha512": 128}
_FORMAT = "invalid reference format"


def mistake(image: str) -> str:
    """Why this names no image, in the words of `kubectl describe`; "" when it may."""
    why = _mistake(image)
    if not why:
        return ""
    return f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'


def _mistake(image: str) -> str:
    if re.fullmatch(r"[a-f0-9]{64}", image):
        return f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
    host, slash, rest = image.partition("/")
    if not slash or not (set(host) & {".", ":"} or host == "localhost" or host.lower() != host):
        host, rest = "docker.io", image if slash else f"library/{image}"
    repository = re.split("[:@]", rest, maxsplit=1)[0]
    if repository.lower() != repository:
        return f"{_FORMAT}: repository name ({repository}) must be lowercase"
    match = _NAME.fullmatch(f"{host}/{rest}")
    if match is None:
        return _FORMAT
    if len(f"{host}/{repository}") > 255:
        return "repository name must not be more than 255 characters"
    if match["digest"]:
        algorithm, _, digits = match["digest"].partition(":")
        if algorithm not in _HEX:
            return "unsupported digest algorithm"
        if len(digits) != _HEX[algorithm] or digits.lower() != digits:
            return "invalid checksum digest length" if digits.lower() == digits else "invalid checksum digest format"
    return ""
