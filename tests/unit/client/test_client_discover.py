"""Which runtime is asked when nobody says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cricket.cli.errors import UNREACHABLE, USAGE, exit_code
from cricket.client.discover import KNOWN, Choice, Known, configured, discover
from cricket.client.errors import EndpointError, UnreachableError

Listen = Callable[[str], str]


@pytest.fixture
def sockets() -> Iterator[dict[str, Known]]:
    """Where runtimes would listen, in a directory whose name is short enough for sockets."""
    directory = tempfile.mkdtemp(prefix="disc-")
    yield {known.name: known._replace(path=f"{directory}/{known.name}.sock") for known in KNOWN}
    shutil.rmtree(directory)


@pytest.fixture
def listen(sockets: dict[str, Known]) -> Iterator[Listen]:
    opened: list[socket.socket] = []

    def begin(name: str) -> str:
        server = socket.socket(socket.AF_UNIX)
        opened.append(server)
        server.bind(sockets[name].path)
        server.listen()
        return sockets[name].url

    yield begin
    for server in opened:
        server.close()


def _discover(sockets: dict[str, Known]) -> Choice:
    return discover(tuple(sockets.values()))


@pytest.mark.parametrize("name", [known.name for known in KNOWN])
def test_the_only_one_that_answers_is_asked(name: str, sockets: dict[str, Known], listen: Listen) -> None:
    url = listen(name)
    chosen = _discover(sockets)
    assert chosen.url == url and name in chosen.why


def test_cricket_wins_silently(sockets: dict[str, Known], listen: Listen) -> None:
    ours = listen("cricket")
    listen("containerd")
    listen("CRI-O")
    assert _discover(sockets).url == ours


def test_several_are_named_with_how_to_choose(sockets: dict[str, Known], listen: Listen) -> None:
    urls = listen("containerd"), listen("CRI-O")
    with pytest.raises(EndpointError) as error:
        _discover(sockets)
    said = str(error.value)
    assert all(url in said for url in urls) and "cri-dockerd" not in said
    assert "-r URL" in said and "$CONTAINER_RUNTIME_ENDPOINT" in said and "/etc/crictl.yaml" in said
    assert exit_code(error.value) == USAGE


def test_none_is_told_with_what_was_looked_at(sockets: dict[str, Known]) -> None:
    Path(sockets["containerd"].path).touch()
    with pytest.raises(UnreachableError) as error:
        _discover(sockets)
    said = str(error.value)
    assert f"{sockets['cricket'].url} (no such file or directory)" in said
    assert f"{sockets['containerd'].url} (connection refused)" in said
    assert exit_code(error.value) == UNREACHABLE


def test_while_our_daemon_is_away_no_other_is_taken_for_it(sockets: dict[str, Known], listen: Listen) -> None:
    listen("containerd")
    Path(sockets["cricket"].path).touch()
    with pytest.raises(UnreachableError) as error:
        _discover(sockets)
    assert "cricket.sock (connection refused)" in str(error.value) and "containerd" not in str(error.value)


def test_what_is_said_comes_first_and_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "crictl.yaml"
    file.write_text('runtime-endpoint: "unix:///run/file.sock"  # ours\nimage-endpoint: x\ntimeout: 2\n')
    environment = {"CONTAINER_RUNTIME_ENDPOINT": "unix:///run/env.sock", "CRI_CONFIG_FILE": str(file)}
    assert configured("unix:///run/option.sock", environment) == ("unix:///run/option.sock", "--runtime-endpoint")
    assert configured(None, environment) == ("unix:///run/env.sock", "$CONTAINER_RUNTIME_ENDPOINT")
    del environment["CONTAINER_RUNTIME_ENDPOINT"]
    assert configured(None, environment) == ("unix:///run/file.sock", str(file))


@pytest.mark.parametrize("text", ["", "timeout: 2\n", "runtime-endpoint:\n", "runtime-endpoint: ''\n", "# empty\n"])
def test_a_file_that_does_not_say(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert configured(None, {"CRI_CONFIG_FILE": str(tmp_path / "c.yaml")}) is None
    assert configured(None, {"CRI_CONFIG_FILE": str(tmp_path / "no.yaml")}) is None


@pytest.mark.parametrize("data", [b"runtime-endpoint: [1]\n", b"[]\n", b"text\n", b"a: b: c\n", b"\xff\xfe\xfd"])
def test_a_file_that_is_none_of_crictl(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    with pytest.raises(EndpointError) as error:
        configured(None, {"CRI_CONFIG_FILE": str(path)})
    assert error.value.where == str(path)


def test_looking_for_a_runtime_loads_no_grpc(tmp_path: Path) -> None:
    environment = {**os.environ, "CONTAINER_RUNTIME_ENDPOINT": "", "CRI_CONFIG_FILE": str(tmp_path / "no")}
    code = "import cricket.client.discover as d; from cricket.client.discover import Known\n" + (
        f"d.KNOWN = (Known('a', {str(tmp_path / 'a')!r}), Known('b', {str(tmp_path / 'b')!r}))\n"
        "import sys\nfrom cricket.cli.main import main\nassert main(['ps']) == 4\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert "grpc" not in done.stdout.split()
    assert f"no runtime answers: looked at unix://{tmp_path}/a (no such file or directory), unix" in done.stderr
