"""What conmon is told, and what it answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cricket.errors import FailedPrecondition, Internal
from cricket.monitor import conmon
from cricket.monitor.conmon import Conmon, MonitorSpec, runtime_message

SPEC = MonitorSpec("id", "name", "/bundle", "/log/0.log", "/usr/bin/crun", ("--root=/state", "--systemd-cgroup"))


def value_of(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_paths_and_runtime() -> None:
    argv = Conmon("conmon", "/exits").argv(SPEC)
    assert value_of(argv, "--cid") == value_of(argv, "--cuuid") == "id"
    assert value_of(argv, "--log-path") == "k8s-file:/log/0.log"
    assert value_of(argv, "--exit-dir") == "/exits"
    assert value_of(argv, "--bundle") == "/bundle"
    assert value_of(argv, "--container-pidfile") == conmon.pid_file("/bundle")
    assert [a for a in argv if a.startswith("--runtime-arg=")] == [
        "--runtime-arg=--root=/state",
        "--runtime-arg=--systemd-cgroup",
    ]
    assert not {"--terminal", "--stdin", "--leave-stdin-open", "--log-size-max", "--restore"} & set(argv)


@pytest.mark.parametrize(
    ("changes", "there", "absent"),
    [
        ({"terminal": True}, {"--terminal"}, {"--stdin"}),
        ({"stdin": True}, {"--stdin", "--leave-stdin-open"}, {"--terminal"}),
        ({"stdin": True, "stdin_once": True}, {"--stdin"}, {"--leave-stdin-open"}),
        ({"stdin_once": True}, set(), {"--stdin", "--leave-stdin-open"}),
        ({"restore": "/image"}, {"--restore", "/image"}, {"--no-new-keyring"}),
    ],
)
def test_streams_and_restore(changes: dict[str, object], there: set[str], absent: set[str]) -> None:
    import msgspec

    argv = set(Conmon("conmon", "/exits").argv(msgspec.structs.replace(SPEC, **changes)))
    assert there <= argv
    assert not absent & argv


def test_a_size_limit_only_when_there_is_one() -> None:
    assert value_of(Conmon("c", "/e", log_size_max=4096).argv(SPEC), "--log-size-max") == "4096"
    for none in (0, -1):
        assert "--log-size-max" not in Conmon("c", "/e", log_size_max=none).argv(SPEC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ""),
        ("\n\n", ""),
        ("open `x`: No such file", "open `x`: No such file"),
        ("first line\nlast line\n", "last line"),
        ('time="t" level=error msg="the \\"real\\" reason"\n', 'the "real" reason'),
        ('time="t" level=warning msg="w"\ntime="t" level=fatal msg="f"\n', "f"),
        ('level=error msg="a"\nlevel=error msg="back\\\\slash"', "back\\slash"),
    ],
)
def test_the_runtimes_words_are_freed_from_their_log_format(text: str, message: str) -> None:
    assert runtime_message(text) == message


@pytest.mark.parametrize("line", [b'{"data": 77}\n', b'{"pid": 77}\n', b'{"data": 77, "message": ""}'])
def test_the_pid_is_told_in_two_dialects(line: bytes, tmp_path: Path) -> None:
    assert conmon._pid_of(line, str(tmp_path), "id") == 77


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "could not start"),
        (b"nonsense", "nonsense"),
        (b"[1]", "the monitor said"),
        (b'{"data": -1}', "without a word"),
        (b'{"data": 0, "message": "x"}', "x"),
        (b'{"data": -1, "message": "level=error msg=\\"exec: no such file\\""}', "exec: no such file"),
    ],
)
def test_anything_else_is_an_error_with_the_container(line: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(Internal, match=said) as error:
        conmon._pid_of(line, str(tmp_path), "id")
    assert error.value.where == "id"


def test_a_monitor_that_is_gone_is_told_and_no_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="no monitor"):
        conmon.resize(str(tmp_path), 80, 24)
    os.mkfifo(tmp_path / "ctl")
    with pytest.raises(FailedPrecondition, match="no monitor"):
        conmon.resize(str(tmp_path), 80, 24)
    assert os.listdir(tmp_path) == ["ctl"]


def test_sizes_go_to_the_control_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ctl")
    reader = os.open(tmp_path / "ctl", os.O_RDONLY | os.O_NONBLOCK)
    try:
        conmon.resize(str(tmp_path), 80, 24)
        assert os.read(reader, 100) == b"1 24 80\n"
    finally:
        os.close(reader)
