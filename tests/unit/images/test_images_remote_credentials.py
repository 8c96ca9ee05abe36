"""Credentials: from the request, from files in Docker's form, from helpers; and what goes to whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.images.reference import Reference
from cricket.images.remote.credentials import Credentials, Keyring
from cricket.images.remote.endpoint import Endpoint, registry_endpoint
from cricket.types.image import RegistryAuth

HELPER = """#!/bin/sh
read server
case "$server" in
  r.local) echo '{"ServerURL":"r.local","Username":"helped","Secret":"s3"}' ;;
  token.local) echo '{"Username":"<token>","Secret":"id"}' ;;
  broken.local) echo 'no json' ;;
  angry.local) echo 'the vault is locked' >&2; exit 1 ;;
  https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"h"}' ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def own(name: str) -> tuple[Endpoint, Reference]:
    reference = Reference.parse(name)
    return registry_endpoint(reference, "test"), reference


def mirror(name: str) -> tuple[Endpoint, Reference]:
    return Endpoint("https://mirror.local/v2", "a", "test", upstream=False), Reference.parse(name)


def stored(tmp_path: Path, document: object, name: str = "config.json") -> str:
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def pair(found: Credentials) -> tuple[str, str]:
    return found.username, found.secret


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (RegistryAuth(username="u", password="p"), Credentials("u", "p")),
        (RegistryAuth(auth=basic("u:p:q")), Credentials("u", "p:q")),
        (RegistryAuth(auth=basic("u:p\0\0")), Credentials("u", "p")),
        (RegistryAuth(identity_token="i"), Credentials(identity_token="i")),
        (RegistryAuth(registry_token="r", username="u"), Credentials(registry_token="r")),
        (RegistryAuth(), Credentials()),
        (None, Credentials()),
    ],
)
def test_request_credentials(auth: RegistryAuth | None, expected: Credentials) -> None:
    found = Keyring(auth, ()).find(*own("r.local/a"))
    assert (pair(found), found.identity_token, found.registry_token) == (
        pair(expected),
        expected.identity_token,
        expected.registry_token,
    )


@pytest.mark.parametrize("auth", ["%%%", basic("nocolon"), basic("\udcff".encode("utf-8", "surrogateescape").hex())])
def test_malformed_request_credentials(auth: str) -> None:
    with pytest.raises(InvalidArgument):
        Keyring(RegistryAuth(auth=auth), ()).find(*own("r.local/a"))


@pytest.mark.parametrize(
    ("server", "name", "given"),
    [
        ("", "r.local/a", True),
        ("r.local", "r.local/a", True),
        ("https://r.local/v2/", "r.local/a", True),
        ("r.local:5000", "r.local/a", False),
        ("other.local", "r.local/a", False),
        ("https://index.docker.io/v1/", "busybox", True),
        ("docker.io", "busybox", True),
        ("registry-1.docker.io", "busybox", True),
        ("docker.io", "r.local/a", False),
    ],
)
def test_server_address_limits_where_they_go(server: str, name: str, given: bool) -> None:
    auth = RegistryAuth(username="u", password="p", server_address=server)
    assert bool(Keyring(auth, ()).find(*own(name))) is given


def test_a_mirror_prefers_its_own_credentials(tmp_path: Path) -> None:
    path = stored(tmp_path, {"auths": {"mirror.local": {"username": "m", "password": "x"}}})
    request = RegistryAuth(username="u", password="p")
    assert pair(Keyring(request, (path,)).find(*mirror("r.local/a"))) == ("m", "x")
    assert pair(Keyring(request, ()).find(*mirror("r.local/a"))) == ("u", "p")
    assert pair(Keyring(request, (path,)).find(*own("r.local/a"))) == ("u", "p")
    named = RegistryAuth(username="u", password="p", server_address="r.local")
    assert not Keyring(named, ()).find(*mirror("r.local/a")), "named for the registry, not for its mirror"


def test_entries_of_a_file(tmp_path: Path) -> None:
    path = stored(
        tmp_path,
        {
            "auths": {
                "https://index.docker.io/v1/": {"auth": basic("hub:h")},
                "https://r.local/v2/": {"auth": basic("u:p")},
                "r.local/team": {"username": "t", "password": "tp"},
                "r.local/team/app": {"auth": basic("a:ap")},
                "i.local": {"auth": basic("00000:"), "identitytoken": "id"},
                "t.local": {"registrytoken": "rt"},
                "port.local:5000": {"auth": basic("port:5000")},
            }
        },
    )
    keyring = Keyring(None, (str(tmp_path / "missing.json"), path))
    assert pair(keyring.find(*own("busybox"))) == ("hub", "h")
    assert pair(keyring.find(*own("r.local/x"))) == ("u", "p")
    assert pair(keyring.find(*own("r.local/team/x"))) == ("t", "tp")
    assert pair(keyring.find(*own("r.local/team/app"))) == ("a", "ap")
    assert pair(keyring.find(*own("r.local/teamx"))) == ("u", "p")
    assert keyring.find(*own("i.local/x")).identity_token == "id"
    assert keyring.find(*own("t.local/x")).registry_token == "rt"
    assert pair(keyring.find(*own("port.local:5000/x"))) == ("port", "5000")
    assert not keyring.find(*own("port.local/x"))


def test_first_file_with_an_entry_wins(tmp_path: Path) -> None:
    one = stored(tmp_path, {"auths": {"a.local": {"auth": basic("1:1")}}}, "1.json")
    two = stored(tmp_path, {"auths": {"a.local": {"auth": basic("2:2")}, "b.local": {"auth": basic("3:3")}}}, "2.json")
    keyring = Keyring(None, (one, two))
    assert pair(keyring.find(*own("a.local/x"))) == ("1", "1")
    assert pair(keyring.find(*own("b.local/x"))) == ("3", "3")


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '{"auths": [1]}',
        '{"auths": {"r.local": 3}}',
        '{"auths": {"r.local": {"auth": "hunter2%"}}}',
        "[" * 9999,
    ],
)
def test_broken_files_are_named_and_secrets_are_not_told(tmp_path: Path, document: str) -> None:
    path = stored(tmp_path, document)
    with pytest.raises(FailedPrecondition) as e:
        Keyring(None, (path,)).find(*own("r.local/a"))
    assert path in str(e.value)
    assert "hunter2" not in str(e.value)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("helper")
def test_helpers(tmp_path: Path) -> None:
    path = stored(tmp_path, {"credHelpers": {"token.local": "test"}, "credsStore": "test", "auths": {"x.local": {}}})
    keyring = Keyring(None, (path,))
    assert pair(keyring.find(*own("r.local/a"))) == ("helped", "s3")
    assert keyring.find(*own("token.local/a")).identity_token == "id"
    assert pair(keyring.find(*own("busybox"))) == ("hub", "h")
    assert not keyring.find(*own("unknown.local/a"))
    assert pair(Keyring(None, (), ("containers-auth.json", "test")).find(*own("r.local/a"))) == ("helped", "s3")


@pytest.mark.usefixtures("helper")
@pytest.mark.parametrize(
    ("host", "helper_name", "words"),
    [
        ("broken.local", "test", "not understood"),
        ("angry.local", "test", "the vault is locked"),
        ("r.local", "../../bin/evil", "not the name of a credential helper"),
    ],
)
def test_failing_helpers(tmp_path: Path, host: str, helper_name: str, words: str) -> None:
    path = stored(tmp_path, {"credHelpers": {host: helper_name}})
    with pytest.raises(FailedPrecondition, match=words) as e:
        Keyring(None, (path,)).find(*own(f"{host}/a"))
    assert path in str(e.value)


def test_nothing_prints_secrets() -> None:
    assert "hunter2" not in repr(Credentials("u", "hunter2", "hunter2", "hunter2"))
    assert "hunter2" not in repr(RegistryAuth(username="u", password="hunter2"))
