"""Parsers of what users and registries write, under any input."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import CricketError, InvalidArgument
from cricket.images.reference import Reference, is_short
from cricket.images.remote.challenge import parse_challenges
from cricket.images.remote.manifest import Index, Manifest, parse_manifest
from cricket.images.remote.messages import PullFailure, failure, raised

_part = st.from_regex(r"[a-z0-9]{1,8}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
_domain = st.from_regex(r"[a-z0-9]{1,8}\.[a-z]{2,4}(?::[1-9][0-9]{0,3})?|localhost(?::80)?", fullmatch=True)
_tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_digest = st.from_regex(r"sha256:[a-f0-9]{64}", fullmatch=True)


@given(st.text(max_size=700))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(reference)) == reference
    assert not is_short(str(reference))
    assert reference.tag or reference.digest


@given(_domain, st.lists(_part, min_size=1, max_size=4), st.none() | _tag, st.none() | _digest)
def test_every_well_formed_reference_is_taken(
    domain: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    text = f"{domain}/{'/'.join(path)}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = Reference.parse(text)
    assert reference.domain == domain
    assert reference.digest == (digest or "")
    assert reference.tag == (tag or ("" if digest else "latest"))


_token = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True)
_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(st.lists(st.tuples(_token, st.dictionaries(_token.map(str.lower), _value, min_size=1, max_size=4)), max_size=4))
def test_challenges_round_trip(wanted: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(f"{s} " + ", ".join(f"{k}={quoted(v)}" for k, v in p.items()) for s, p in wanted)
    found = parse_challenges([header])
    assert [(c.scheme, c.parameters) for c in found] == [(s.lower(), p) for s, p in wanted]


@given(st.lists(st.text(max_size=300), max_size=3))
def test_challenges_never_fail(headers: list[str]) -> None:
    for challenge in parse_challenges(headers):
        assert challenge.scheme


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.just(2) | _json,
        "mediaType": st.sampled_from(["application/vnd.oci.image.index.v1+json", "x"]) | _json,
        "config": _json,
        "layers": _json,
        "manifests": _json,
        "fsLayers": _json,
    },
)


@given(_fields, st.text(max_size=20))
def test_manifests_are_parsed_or_refused(document: dict[str, object], content_type: str) -> None:
    import msgspec

    try:
        found = parse_manifest(msgspec.json.encode(document), content_type, "here")
    except CricketError:
        return
    assert isinstance(found, Manifest | Index)


@given(st.binary(max_size=200))
def test_garbage_is_no_manifest(body: bytes) -> None:
    try:
        parse_manifest(body, "", "here")
    except CricketError as e:
        assert e.where == "here"


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_errors_travel(kind: str, what: str, where: str, todo: str) -> None:
    again = failure(raised(PullFailure(kind, what, where, todo)))
    assert (again.what, again.where, again.todo) == (what, where, todo)
