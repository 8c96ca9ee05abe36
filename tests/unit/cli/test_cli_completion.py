"""Completion without a runtime: where a word stands, what is offered there, and the script in a real bash."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cricket.cli import index
from cricket.cli.completing import completes, kind_of
from cricket.cli.completion.answer import lines
from cricket.cli.completion.live import KINDS
from cricket.cli.completion.place import find
from cricket.cli.completion.scripts import SCRIPTS
from cricket.cli.main import main
from cricket.cli.options import Parser

ENTRIES = index.entries()
CODE = "import sys; from cricket.cli.main import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///nonexistent/x.sock")


def offered(*words: str) -> list[str]:
    return [line.split("\t")[0] for line in lines(words)]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--flag", action="store_true")
    made.add_argument("-n", "--name")
    made.add_argument("--again", action="append")
    made.add_argument("--hidden", help=argparse.SUPPRESS)
    made.add_argument("first")
    made.add_argument("many", nargs="*")
    made.add_argument("last")
    return made


@pytest.mark.parametrize(
    ("before", "word", "expected"),
    [
        ("", "", "first"),
        ("--flag", "", "first"),
        ("--name", "", "name"),
        ("-n", "", "name"),
        ("-n x", "", "first"),
        ("--name=x", "", "first"),
        ("", "--name=", "name --name="),
        ("", "--flag=", ""),
        ("a", "", "many"),
        ("a b", "", "many last"),
        ("-- --name", "", "many"),
        ("-- a", "--name", "many"),
        ("a -", "", "many last"),
    ],
)
def test_where_a_word_stands(before: str, word: str, expected: str) -> None:
    place = find(parser(), before.split(), word)
    assert " ".join([a.dest for a in place.actions] + ([place.prefix] if place.prefix else [])) == expected


def test_options_are_offered_once_and_not_when_hidden() -> None:
    assert set(find(parser(), [], "-").options) == {"-h", "--help", "--flag", "-n", "--name", "--again"}
    left = set(find(parser(), ["--flag", "-n", "x", "--again", "y"], "--").options)
    assert left == {"-h", "--help", "--again"}
    assert find(parser(), ["--"], "--").options == {}


def test_what_belongs_to_another_program_is_left_alone() -> None:
    made = argparse.ArgumentParser()
    made.add_argument("--flag", action="store_true")
    made.add_argument("container")
    made.add_argument("command", nargs=argparse.REMAINDER)
    assert [a.dest for a in find(made, ["--flag"], "").actions] == ["container"]
    for before in (["c"], ["c", "ls"]):
        place = find(made, before, "-")
        assert [a.dest for a in place.actions] == ["command"] and not place.options


def test_commands() -> None:
    assert set(offered("")) == {entry.name.split()[0] for entry in ENTRIES}
    assert set(offered("help", "")) == set(offered(""))
    assert "config" in offered("co") and "ps" not in offered("co")
    assert offered("config", "s") == ["show"]
    assert {"logs", "ls", "inspect"} <= set(offered("container", "")) and "container" not in offered("")
    assert offered("container", "logs", "--fol") == ["--follow"]
    assert "--runtime-endpoint" in offered("--r") and "ps" in offered("-r", "/x.sock", "p")
    assert offered("nosuch", "") == offered("help", "ps", "") == []


@pytest.mark.parametrize("entry", ENTRIES, ids=[e.name for e in ENTRIES])
def test_every_option_of_every_command_is_offered(entry: index.Entry) -> None:
    made = Parser("", "", "")
    importlib.import_module(entry.module).configure(made)
    actions = [a for a in made._actions if a.help != argparse.SUPPRESS]
    names = {name for action in actions for name in action.option_strings}
    said = lines([*entry.name.split(), "-"])
    assert {line.split("\t")[0] for line in said} == names
    assert all("\n" not in line and "%%" not in line and "%(" not in line for line in said)
    for action in actions:
        for kind in filter(None, kind_of(entry.name, action).split("|")):
            assert kind in {*KINDS, "file", "dir", "form", "endpoint", "check", "command"} or kind[0] == "=", kind


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("completion ", "bash zsh fish"),
        ("inspect --kind ", "container pod image"),
        ("inspect --kind=", "--kind=container --kind=pod --kind=image"),
        ("ps --state r", "running"),
        ("version -o ", "table json yaml jsonpath="),
        ("ps -o j", "json jsonpath="),
        ("ps -o jsonp", "jsonpath= :nospace"),
        ("doctor sel", "selinux"),
        ("doctor kern", "kernel kernel-version"),
        ("runp ", ":file"),
        ("serve --root ", ":dir"),
        ("serve --config ", ":file"),
        ("cp ", ":file"),
        ("logs ", ""),
        ("exec c -", ""),
        ("config check ", "--config --help"),
    ],
)
def test_values(line: str, expected: str) -> None:
    got = offered(*line.split(" "))
    assert got == expected.split() or (expected.startswith("--") and set(expected.split()) <= set(got))


def test_a_command_may_say_what_its_argument_is() -> None:
    action = completes(argparse.ArgumentParser().add_argument("container"), "=a,b")
    assert kind_of("x", action) == "=a,b"
    assert kind_of("x", argparse.ArgumentParser().add_argument("thing")) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["ps", "config", "exec", "cp", "-r", "--", "-", "-o", "--state=", "help", "doctor", "="]),
            st.text(max_size=6),
        ),
        max_size=5,
    )
)
def test_no_line_is_too_odd(words: list[str]) -> None:
    assert main(["__complete", *words]) == 0


def test_silence_when_nobody_answers(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["__complete", "logs", ""]) == main(["__complete", "-r", "tcp://x", "logs", ""]) == 0
    assert capfd.readouterr() == ("", "")


def test_names_of_live_things_need_no_library() -> None:
    code = "import sys; from cricket.cli.main import main; main(['__complete', 'start', '']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode().split()
    assert "cricket.client.connection" in loaded
    assert not {"grpc", "msgspec", "hpack", "asyncio", "ssl"} & {m.split(".")[0] for m in loaded}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_right_for_their_shells(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert script == SCRIPTS[shell] and "__complete" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "script").write_text(script)
    subprocess.run([program, "-n", str(tmp_path / "script")], check=True, capture_output=True)


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    """A directory with `cricket` and the script."""
    program = tmp_path / "bin" / "cricket"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(CODE)} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(SCRIPTS["bash"])
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "a b.yaml").touch()
    (tmp_path / "page.txt").touch()
    return tmp_path


def reply(directory: Path, line: str) -> list[str]:
    """COMPREPLY for a line with the cursor at its end."""
    code = (
        f"source ./script; compopt() {{ :; }}; COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; _cricket; "
        '[[ ${#COMPREPLY[@]} = 0 ]] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{directory}/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", code], cwd=directory, env=os.environ | {"PATH": path}, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cricket comp", ["completion"]),
        ("cricket config sh", ["show"]),
        ("cricket ps --state ru", ["running"]),
        ("cricket ps --state=ru", ["running"]),  # bash replaces what is behind its break, the equals sign
        ("cricket -r unix:///x ps --no-t", ["--no-trunc"]),
        ("cricket runp p", ["page.txt", "pods"]),
        ("cricket runp pods/", ["pods/a b.yaml"]),
        ("cricket serve --root ", ["bin", "pods"]),
        ("cricket logs ", []),
        ("cricket nosuch ", []),
    ],
)
def test_in_bash(bash: Path, line: str, expected: list[str]) -> None:
    assert sorted(reply(bash, line)) == expected


def test_the_help_says_how_to_install_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"cricket completion {shell} >", said) for shell in SCRIPTS)
