"""Loading: merge order, origins, and errors that name the file and the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cricket.config.check import ConfigError
from cricket.config.load import OVERRIDE, Loaded, load
from cricket.config.model import Config
from cricket.errors import Code, NotFound

Write = Callable[..., Loaded]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the main file and its drop-ins, then load."""

    def make(main: str | bytes = "", overrides: dict[str, object] | None = None, **dropins: str) -> Loaded:
        path = tmp_path / "config.toml"
        path.write_bytes(main if isinstance(main, bytes) else main.encode())
        (tmp_path / "config.toml.d").mkdir(exist_ok=True)
        for name, text in dropins.items():
            (tmp_path / "config.toml.d" / f"{name}.toml").write_text(text)
        return load(str(path), overrides=overrides)

    return make


def problems(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [str(problem) for problem in error.value.problems]


def test_only_the_default_file_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "config.toml")
    with pytest.raises(NotFound):
        load(path)
    monkeypatch.setattr("cricket.config.load.DEFAULT_PATH", path)
    assert load(path).config == Config()


def test_an_empty_file_is_all_defaults(write: Write) -> None:
    loaded = write("")
    assert loaded.config == Config()
    assert loaded.origins == {}
    assert loaded.warnings == ()
    assert loaded.origin("root") == "default"


def test_dropins_merge_in_order_of_name(write: Write, tmp_path: Path) -> None:
    loaded = write(
        'root = "/a"\n[network]\nconf_dirs = ["/x", "/y"]\nplugin_timeout = 5',
        b20='[network]\nconf_dirs = ["/z"]',
        a10='root = "/b"\n[network]\nconf_dirs = ["/w"]',
    )
    assert loaded.config.root == "/b"
    assert loaded.config.network.conf_dirs == ("/z",)
    assert loaded.config.network.plugin_timeout == 5.0
    assert loaded.origin("root") == str(tmp_path / "config.toml.d/a10.toml")
    assert loaded.origin("network.conf_dirs") == str(tmp_path / "config.toml.d/b20.toml")
    assert loaded.origin("network.plugin_timeout") == str(tmp_path / "config.toml")
    assert loaded.origin("network.bin_dirs") == "default"
    assert [Path(file).name for file in loaded.files] == ["config.toml", "a10.toml", "b20.toml"]


def test_other_files_in_the_directory_are_left_alone(write: Write, tmp_path: Path) -> None:
    (tmp_path / "config.toml.d").mkdir()
    (tmp_path / "config.toml.d" / "x.toml.bak").write_text("nonsense")
    (tmp_path / "config.toml.d" / ".hidden.toml").write_text("nonsense")
    assert write("").config == Config()


def test_a_built_in_handler_keeps_what_is_not_said(write: Write) -> None:
    loaded = write("[handlers.crun]\nprivileged_without_host_devices = true", x='[handlers.kata]\npath = "/opt/kata"')
    assert loaded.config.handlers["crun"].path == "crun"
    assert loaded.config.handlers["crun"].privileged_without_host_devices
    assert loaded.config.handlers["kata"].path == "/opt/kata"
    assert set(loaded.config.handlers) == {"crun", "runc", "kata"}


def test_overrides_come_last(write: Write) -> None:
    loaded = write("[log]\nlevel = 'error'", overrides={"log.level": "debug", "streaming.port": 10010})
    assert (loaded.config.log.level, loaded.config.streaming.port) == ("debug", 10010)
    assert loaded.origin("log.level") == OVERRIDE


def test_every_problem_names_file_and_key(write: Write) -> None:
    with pytest.raises(ConfigError) as error:
        write(
            "socket_mode = 0o1777\nrot = '/x'\nconf_dirs = []\nnetwork = 3",
            z='[handlers.crun]\npath = 7\nprivileged = true\n[handlers.X_y]\npath = "a"\n[log]\nlevel = "loud"',
        )
    assert problems(error) == [
        "config.toml: socket_mode: should be at most 0o777, is 1023",
        "config.toml: rot: unknown key; did you mean root?",
        "config.toml: conf_dirs: unknown key; did you mean network.conf_dirs?",
        "config.toml: network: should be a table, is 3",
        "config.toml.d/z.toml: handlers.crun.path: should be a string, is 7",
        "config.toml.d/z.toml: handlers.crun.privileged: unknown key",
        "config.toml.d/z.toml: handlers.X_y: should be a DNS label (lower case letters, digits and inner hyphens, "
        "at most 63)",
        "config.toml.d/z.toml: log.level: should be one of debug, info, warning, error, is 'loud'",
    ]
    assert error.value.code is Code.INVALID_ARGUMENT
    assert "config.toml: rot: unknown key" in str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("root = 'x'", "root: should be an absolute path, is 'x'"),
        ("root = ''", "root: should be an absolute path, is ''"),
        ("root = '/run/cricket'", "state: must not be the same directory as root"),
        ("socket_mode = true", "socket_mode: should be a whole number, is true"),
        ("[nri]\nenable = 1", "nri.enable: should be true or false, is 1"),
        ("[nri]\nrequest_timeout = nan", "nri.request_timeout: should be a number that fits, is nan"),
        ("[limits]\npids = 99999999999999999999", "limits.pids: should be a number that fits, is 99999999999999999999"),
        ("[limits]\nexec_output = 16777216", "limits.exec_output: should be at most 16711680, is 16777216"),
        ("[limits]\nulimits = ['nofile']", "limits.ulimits: should be like nofile=1024:4096, is 'nofile'"),
        ("[network]\nbin_dirs = '/x'", "network.bin_dirs: should be a list of strings, is '/x'"),
        ("[network]\nbin_dirs = ['/x', 3]", "network.bin_dirs: should be a list of strings, is ['/x', 3]"),
        ("[network]\nbin_dirs = ['x']", "network.bin_dirs: should be an absolute path, is 'x'"),
        ('[network]\nbin_dirs = ["/x\\u0000"]', "network.bin_dirs: must not hold a NUL character"),
        ("handlers = 1", "handlers: should be a table of tables, is 1"),
        ("[handlers]\ncrun = 1", "handlers.crun: should be a table, is 1"),
        ("[handlers.kata]\n", "handlers.kata.path: is missing; a handler needs the path of its runtime"),
        ("default_handler = 'x'", "default_handler: no handler is called 'x'; there are crun, runc"),
        ("socket = '/" + "x" * 107 + "'", "socket: is too long for a socket: 108 bytes of at most 107"),
        ("[streaming]\ntls_cert = '/c'", "streaming.tls_key: is missing; TLS needs both the certificate and its key"),
        ("[streaming]\naddress = 'localhost'", "streaming.address: should be an IP address, is 'localhost'"),
        ("[streaming]\nbase_url = 'x'", "streaming.base_url: should begin with http:// or https:// and a host, is 'x'"),
        ("[metrics]\naddress = '9102'", "metrics.address: should be host:port, is '9102'"),
        ("[security]\ndefault_capabilities = ['CAP_KILL']", "security.default_capabilities: should be like NET_RAW"),
    ],
)
def test_a_bad_value_is_named(write: Write, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        write(text)
    assert len(error.value.problems) == 1
    found = error.value.problems[0]
    assert f"{found.key}: {found.text}".startswith(problem)
    assert found.file == ("default" if found.key == "state" else "config.toml")


@pytest.mark.parametrize("text", [b"root = ", b"a = 1\na = 2", b"\xff", b"a = " + b"[" * 5000])
def test_what_is_not_toml_is_named(write: Write, text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: (not valid TOML|nested too deeply)"):
        write(text)


def test_streams_without_tls_on_the_network_are_warned_of(write: Write) -> None:
    (warning,) = write('[streaming]\naddress = "0.0.0.0"').warnings
    assert warning == "config.toml: streaming.address: exec and attach are served to the network without TLS"
