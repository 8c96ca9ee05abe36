"""Configurations in crictl's form."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from cricket._proto.cri import api_pb2
from cricket.cli.documents import read_container, read_pod
from cricket.errors import InvalidArgument, NotFound


def _file(tmp_path: Path, content: object) -> str:
    path = tmp_path / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_pod_in_snake_case_and_camel_case_with_numbers_or_names_of_enums(tmp_path: Path) -> None:
    for content in (
        {"metadata": {"name": "p"}, "log_directory": "/l", "linux": {"security_context": _network(2)}},
        {"metadata": {"name": "p"}, "logDirectory": "/l", "linux": {"securityContext": _network("NODE")}},
    ):
        config = read_pod(_file(tmp_path, content))
        assert (config.metadata.name, config.metadata.namespace, config.log_directory) == ("p", "default", "/l")
        assert config.linux.security_context.namespace_options.network == api_pb2.NODE
        assert len(config.metadata.uid) == 36


def _network(mode: object) -> dict[str, object]:
    return {"namespace_options": {"network": mode}}


def test_what_the_pod_says_stays(tmp_path: Path) -> None:
    config = read_pod(_file(tmp_path, {"metadata": {"name": "p", "uid": "u", "namespace": "n", "attempt": 3}}))
    assert (config.metadata.uid, config.metadata.namespace, config.metadata.attempt) == ("u", "n", 3)


def test_values_of_variables_are_text(tmp_path: Path) -> None:
    content = {
        "metadata": {"name": "c"},
        "image": {"image": "busybox"},
        "envs": [{"key": "A", "value": "grüße"}, {"key": "B"}],
        "CDI_devices": [{"name": "vendor.com/x=1"}],
        "mounts": [{"container_path": "/a", "host_path": "/b", "uidMappings": [{"length": 1}]}],
    }
    config = read_container(_file(tmp_path, content))
    assert [(e.key, e.value) for e in config.envs] == [("A", "grüße".encode()), ("B", b"")]
    assert config.CDI_devices[0].name == "vendor.com/x=1" and config.mounts[0].uidMappings[0].length == 1


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b'{"metadata": {"name": "p"}}')

    monkeypatch.setattr("sys.stdin", Stdin())
    assert read_pod("-").metadata.name == "p"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("\xff", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "should hold an object"),
        ({"metadata": {"nme": "p"}}, 'no field named "nme"'),
        ({"metadata": {"name": 5}}, "the file is no PodSandboxConfig"),
        ({"metadata": None}, "no metadata.name"),
        ({}, "no metadata.name"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: object, said: str) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(InvalidArgument) as caught:
        read_pod(path)
    assert path in str(caught.value) and said in str(caught.value)


def test_a_container_needs_an_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"image\.image"):
        read_container(_file(tmp_path, {"metadata": {"name": "c"}, "envs": "?"} | {"envs": []}))
    with pytest.raises(InvalidArgument):
        read_container(_file(tmp_path, {"metadata": {"name": "c"}, "envs": "?"}))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_pod(str(tmp_path / "no"))
    with pytest.raises(InvalidArgument):
        read_pod(str(tmp_path))
