"""The commands about the configuration and the network's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cricket.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('root = "/data"\n')
    dropins = tmp_path / "config.toml.d"
    dropins.mkdir()
    (dropins / "10-a.toml").write_text('[log]\nlevel = "debug"\n')
    return path


def _out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "default"]) == 0
    tables = tomllib.loads(_out(capsys))
    assert "images" in tables
    assert main(["config", "default", "-o", "json"]) == 0
    assert json.loads(_out(capsys))["log"]["level"] == "info"


def test_show(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--config", str(config)]) == 0
    assert tomllib.loads(_out(capsys))["log"]["level"] == "debug"
    assert main(["config", "show", "--origin", "--config", str(config), "-o", "json"]) == 0
    shown = json.loads(_out(capsys))
    assert shown["root"] == {"value": "/data", "origin": str(config)}
    assert shown["log.level"]["origin"].endswith("10-a.toml") and shown["state"]["origin"] == "default"


def test_check(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--config", str(config)]) == 0
    assert _out(capsys).startswith("valid: ")
    config.write_text("rot = 1\nsocket_mode = 99999\n")
    assert main(["config", "check", "--config", str(config)]) == 1
    problems = capsys.readouterr().err.splitlines()
    assert len(problems) == 2 and all(line.startswith("cricket: config.toml: ") for line in problems)
    assert main(["config", "check", "-o", "json", "--config", str(config)]) == 1
    assert json.loads(_out(capsys))["valid"] is False
    assert main(["config", "show", "--config", str(config)]) == 1
    assert main(["config", "check", "--config", str(config.parent / "no.toml")]) == 3


def test_registries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = tmp_path / "certs.d" / "registry.k8s.io"
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text('[host."http://127.0.0.1:5000"]\ncapabilities = ["pull", "resolve"]\n')
    config = tmp_path / "config.toml"
    config.write_text(f'[images]\ncerts_dirs = ["{tmp_path}/certs.d"]\nregistries_conf = []\n')
    words = ["config", "registries", "registry.k8s.io/pause:3.10", "--config", str(config)]
    assert main(words) == 0
    assert "1. http://127.0.0.1:5000/v2/pause" in _out(capsys)
    assert main([*words, "-o", "json"]) == 0
    (reference,) = json.loads(_out(capsys))["references"]
    assert reference["endpoints"][0]["url"] == "http://127.0.0.1:5000/v2" and "headers" not in reference["endpoints"][0]


def test_network_init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["network", "init", "--firewall", "no", "--subnet", "10.9.0.0/16", "--conf-dir", str(tmp_path / "net.d")]
    assert main([*words, "--print"]) == 0
    assert json.loads(_out(capsys))["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.9.0.0/16"}]]
    assert not (tmp_path / "net.d").exists()
    assert main([*words, "-o", "json"]) == 0
    assert Path(json.loads(_out(capsys))["path"]).exists()
    assert main(words) == 1
    assert "configuration already" in capsys.readouterr().err


def test_serve_calls_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cricket.daemon

    calls: list[tuple[str, dict[str, object]]] = []

    def daemon(path: str, overrides: dict[str, object]) -> int:
        calls.append((path, overrides))
        return 7

    monkeypatch.setattr(cricket.daemon, "main", daemon)
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--config", "c.toml", "--log-level", "debug", "--root", "r", "--socket", "/s"]) == 7
    assert main(["serve"]) == 7
    assert calls == [
        ("c.toml", {"log.level": "debug", "root": f"{tmp_path}/r", "socket": "/s"}),
        ("/etc/cricket/config.toml", {}),
    ]
