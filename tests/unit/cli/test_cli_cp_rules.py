"""Where a copy goes: docker cp's rules."""

from __future__ import annotations

import pytest

from cricket.cli.copying.rules import ABSENT, DIRECTORY, FILE, LINK, OTHER, Spot, Target, spot, target
from cricket.cli.errors import UsageError
from cricket.errors import CricketError, FailedPrecondition, NotFound


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web:/etc", Spot("web", "/etc")),
        ("shop/web:etc", Spot("shop/web", "/etc")),
        ("kube-system/dns/coredns:/x:y", Spot("kube-system/dns/coredns", "/x:y")),
        ("./a:b", Spot("", "./a:b")),
        ("/a:b", Spot("", "/a:b")),
        ("a b:c", Spot("", "a b:c")),
        (":x", Spot("", ":x")),
        ("-", Spot("", "-")),
        ("file", Spot("", "file")),
    ],
)
def test_paths(text: str, found: Spot) -> None:
    assert spot(text) == found


@pytest.mark.parametrize("text", ["", "web:"])
def test_no_paths(text: str) -> None:
    with pytest.raises(UsageError):
        spot(text)


HERE = Spot("", "dst")


@pytest.mark.parametrize(
    ("source", "kind", "destination", "there", "expected"),
    [
        ("/a/file", FILE, "dst", ABSENT, Target("/w", "dst")),
        ("/a/file", FILE, "dst", FILE, Target("/w", "dst")),
        ("/a/file", FILE, "dst", DIRECTORY, Target("/w/dst", "file")),
        ("/a/file", FILE, "dst/", DIRECTORY, Target("/w/dst", "file")),
        ("/a/link", LINK, "dst", DIRECTORY, Target("/w/dst", "link")),
        ("/a/dir", DIRECTORY, "dst", ABSENT, Target("/w", "dst")),
        ("/a/dir/", DIRECTORY, "dst", DIRECTORY, Target("/w/dst", "dir")),
        ("/a/dir/.", DIRECTORY, "dst", DIRECTORY, Target("/w/dst", "")),
        ("/a/dir/.", DIRECTORY, "dst", ABSENT, Target("/w", "dst")),
        ("/", DIRECTORY, "dst", DIRECTORY, Target("/w/dst", "")),
        ("/a/file", FILE, "dst/", ABSENT, NotFound),
        ("/a/file", FILE, "dst/", FILE, FailedPrecondition),
        ("/a/file/", FILE, "dst", ABSENT, FailedPrecondition),
        ("/a/dir", DIRECTORY, "dst", FILE, FailedPrecondition),
        ("/a/none", ABSENT, "dst", ABSENT, NotFound),
        ("/dev/null", OTHER, "dst", ABSENT, FailedPrecondition),
    ],
)
def test_targets(source: str, kind: str, destination: str, there: str, expected: Target | type[CricketError]) -> None:
    def put() -> Target:
        return target(Spot("web", source), kind, Spot("", destination), there, "/w/dst")

    if isinstance(expected, Target):
        assert put() == expected
    else:
        with pytest.raises(expected):
            put()


def test_names_of_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert Spot("", "a/b/").name == "b" and Spot("web", "/a/b/.").name == "b" and Spot("web", "/").name == ""
    assert Spot("", ".").contents and Spot("", "..").name == str(tmp_path).split("/")[-2]
