"""Image references: the text that names an image, and its one canonical form.

    busybox                          docker.io/library/busybox:latest
    example.com:5000/a/b@sha256:...  the same; no tag is added beside a digest

The grammar is that of distribution's reference package, which containerd, CRI-O and the kubelet use.
"""

from __future__ import annotations

import re

import msgspec

from cricket.errors import InvalidArgument

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_NAME_MAX = 255
_TEXT_MAX = 600  # the longest name, tag and digest together

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[a-f0-9]+")


class Reference(msgspec.Struct, frozen=True):
    """A normalised reference; equal references name the same thing.

    `domain` is the registry ("docker.io", "host:5000"), `path` the repository there, `tag` "" when only a digest was
    given, `digest` "" when only a tag was.
    """

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def tagged(self) -> str:
        """`name:tag`, or "" where a digest decides: beside a digest the tag promises nothing."""
        return f"{self.name}:{self.tag}" if self.tag and not self.digest else ""

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest when there is one, else the tag."""
        return self.digest or self.tag

    def with_digest(self, digest: str) -> str:
        """`name@digest`, the form of CRI's repo digests."""
        return f"{self.name}@{digest}"

    def __str__(self) -> str:
        text = f"{self.name}:{self.tag}" if self.tag else self.name
        return f"{text}@{self.digest}" if self.digest else text

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Normalise: docker.io and library/ are added where they are meant, and `latest` where there is no digest.

        Raises InvalidArgument, which names the part that is wrong. `str()` of the result parses to an equal value.
        """
        _check_whole(text)
        rest, digest = _cut_digest(text)
        rest, tag = _cut_tag(rest, text)
        domain, path = _split_domain(rest)
        if not _DOMAIN.fullmatch(domain):
            raise _bad(f"the registry {domain!r} is not a host name with an optional port", text)
        if path != path.lower():
            raise _bad(f"the repository {path!r} must be lower case", text)
        if not _PATH.fullmatch(path):
            raise _bad(f"the repository {path!r} is malformed", text)
        if len(domain) + 1 + len(path) > _NAME_MAX:
            raise _bad(f"the name is longer than {_NAME_MAX} characters", text)
        return cls(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def is_short(text: str) -> bool:
    """Whether the text names no registry, so that aliases and search registries may choose one."""
    first, slash, _ = text.partition("/")
    return not (slash and _is_domain(first))


def parse_digest(text: str) -> tuple[str, str]:
    """(algorithm, hexadecimal value) of a digest; raises InvalidArgument for another algorithm or a wrong length."""
    algorithm, _, value = text.partition(":")
    length = _DIGEST_LENGTHS.get(algorithm)
    if length is None:
        known = ", ".join(_DIGEST_LENGTHS)
        raise InvalidArgument(f"the digest algorithm {algorithm!r} is not known", where=text, todo=f"Known: {known}")
    if len(value) != length or not _HEX.fullmatch(value):
        raise InvalidArgument(f"a {algorithm} digest has {length} lower-case hexadecimal digits", where=text)
    return algorithm, value


def _bad(what: str, text: str) -> InvalidArgument:
    return InvalidArgument(
        f"invalid image reference: {what}", where=text if len(text) <= _TEXT_MAX else text[:100] + "..."
    )


def _check_whole(text: str) -> None:
    if not text:
        raise InvalidArgument("invalid image reference: it is empty")
    if len(text) > _TEXT_MAX:
        raise _bad(f"it is longer than {_TEXT_MAX} characters", text)
    if "://" in text:
        raise _bad("it has no scheme; write host/repository:tag", text)
    if text != text.strip():
        raise _bad("it begins or ends with white space", text)
    if _IDENTIFIER.fullmatch(text):
        raise _bad("64 hexadecimal digits are an image id, not a name", text)


def _cut_digest(text: str) -> tuple[str, str]:
    rest, at, digest = text.partition("@")
    if not at:
        return rest, ""
    try:
        parse_digest(digest)
    except InvalidArgument as e:
        raise _bad(e.what, text) from None
    return rest, digest


def _cut_tag(rest: str, text: str) -> tuple[str, str]:
    slash, colon = rest.rfind("/"), rest.rfind(":")
    if colon <= slash:
        return rest, ""
    rest, tag = rest[:colon], rest[colon + 1 :]
    if not _TAG.fullmatch(tag):
        raise _bad(f"the tag {tag[:140]!r} must have 1 to 128 of A-Z a-z 0-9 _ . -", text)
    return rest, tag


def _is_domain(first: str) -> bool:
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def _split_domain(rest: str) -> tuple[str, str]:
    first, slash, path = rest.partition("/")
    if not slash or not _is_domain(first):
        domain, path = DEFAULT_DOMAIN, rest
    else:
        domain = DEFAULT_DOMAIN if first == _LEGACY_DOMAIN else first
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path
