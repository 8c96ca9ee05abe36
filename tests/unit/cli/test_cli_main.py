"""The entry point: finding commands, help, exit codes, and how much is imported for them."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cricket.cli
from cricket.cli import index
from cricket.cli.main import main
from cricket.cli.options import Parser

ROOM = Path(cricket.cli.__file__).parent
ENTRIES = index.entries(hidden=True)
NAMES = [entry.name for entry in ENTRIES]
OWN_ROOMS = {
    "cricket.cli",
    "cricket.bench",
    "cricket.kubelet",
    "cricket.client",
    "cricket._proto",
    "cricket.wire",
    "cricket.errors",
    "cricket",
}
INTO_THE_ENGINE = {"serve.py", "network_init.py", "configuration.py", "offline.py"}
INTO_THE_ENGINE |= {p.name for p in ROOM.rglob("config_*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: cricket {name} ")
    assert "\nexamples:\n  cricket " in said or "\nexamples:\n  CRICKET_" in said or "| cricket" in said
    assert main(["help", *name.split()]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_examples_are_right(entry: index.Entry) -> None:
    module = importlib.import_module(entry.module)
    parser = Parser(f"cricket {entry.name}", "", "")
    module.configure(parser)
    count = 0
    for line in module.EXAMPLES.splitlines():
        command = re.split(r"\s{2,}|\s[|>]\s|\s&&\s", line.strip())[0]
        for words in _commands(command):
            found, rest = index.find(words)
            if found == entry:
                parser.parse_args(rest)
                count += 1
    assert count or "| cricket" in module.EXAMPLES


def _commands(line: str) -> list[list[str]]:
    """The cricket command of a line, and the one within $( )."""
    inner = re.findall(r"\$\((cricket [^)]*)\)", line)
    outer = re.sub(r"\$\([^)]*\)", "X", line)
    found = []
    for text in (*inner, outer):
        words = shlex.split(text)
        while words and "=" in words[0]:
            words.pop(0)
        if words[:1] == ["cricket"]:
            found.append(words[1:])
    return found


def test_every_module_is_a_command() -> None:
    modules = {f"cricket.cli.commands.{path.stem}" for path in (ROOM / "commands").glob("*.py")}
    assert {entry.module for entry in ENTRIES} == modules - {"cricket.cli.commands.__init__"}


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert all(f"\n  {entry.name} " in said and entry.summary in said for entry in index.entries())
        assert not any(f"\n  {name} " in said for name in (*index.HIDDEN, *index.ALIASES))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"cricket \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a command is missing"),
        (["pod"], "did you mean `cricket pods`?"),
        (["config"], "a command is missing (cricket config)"),
        (["config", "shwo"], "did you mean `cricket config show`?"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["ps", "--nonsense"], "unrecognized arguments: --nonsense: see `cricket ps --help`"),
        (["ps", "--timeout", "soon"], "is no time span"),
        (["rm"], "name containers"),
        (["exec", "c"], "a command is missing"),
        (["update", "c"], "nothing is to be changed"),
        (["-r", "tcp://127.0.0.1:1", "ps"], "the endpoint is no unix socket (tcp://127.0.0.1:1)"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("cricket: ") and said in error


def test_help_of_a_family_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--help"]) == 0
    assert "show " in capsys.readouterr().out


def test_nobody_answers_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "no.sock")
    assert main(["-r", path, "ps"]) == main(["ps", "-r", f"unix://{path}"]) == 4
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"cricket: the daemon cannot be reached (unix://{path}): no such file or directory: start")


def test_the_environment_names_the_endpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", f"unix://{tmp_path}/env.sock")
    assert main(["ps"]) == 4
    assert "env.sock" in capsys.readouterr().err


def test_help_imports_next_to_nothing() -> None:
    code = "import sys; from cricket.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stderr.decode().split())
    assert not {m for m in loaded if m.split(".")[0] in ("grpc", "google", "msgspec", "asyncio", "json", "ssl")}
    assert not {m for m in loaded if m.startswith("cricket.cli.commands.")}


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda p: p.name)
def test_client_commands_know_nothing_of_the_engine(path: Path) -> None:
    if path.name in INTO_THE_ENGINE:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.split(".")[0] == "cricket":
                assert ".".join(name.split(".")[:2]) in OWN_ROOMS, f"{path.name} imports {name}"


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "import sys; from cricket.cli.main import main; sys.exit(main(['config', 'default']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_output_to_a_full_disk_is_a_line_and_no_traceback() -> None:
    command = [sys.executable, "-c", "import sys; from cricket.cli.main import main; sys.exit(main())"]
    for words in (["--version"], ["pods", "--help"], ["config", "default"]):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run([*command, *words], stdout=full, stderr=subprocess.PIPE, check=False)
        assert ended.stderr.decode() == "cricket: the output cannot be written: no space left on device\n"
        assert ended.returncode == 1


def test_a_closed_standard_stream_is_no_place_for_files_and_sockets() -> None:
    code = (
        "import os, sys; from cricket.cli.main import main; status = main(['config', 'default']);"
        "found = [os.readlink(f'/proc/self/fd/{fd}') for fd in range(3)];"
        "sys.exit(9 if found != ['/dev/null'] * 3 else status)"
    )
    shell = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code], check=False)
    assert shell.returncode == 0


def test_a_manifest_that_is_not_there_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "no.yaml")
    assert main(["run", path]) == 3
    assert capsys.readouterr().err == f"cricket: the manifest cannot be read ({path}): no such file or directory\n"
