"""Tables, trees, JSON and error lines."""

from __future__ import annotations

import argparse
import json

import pytest

from cricket._proto.cri import api_pb2
from cricket.cli import errors, forms, output
from cricket.client.errors import RemoteError, UnreachableError
from cricket.errors import Code, CricketError, FailedPrecondition, Internal, NotFound


def test_columns_are_aligned_and_lines_end_with_text(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", output.Styled("Ready", "green"), "1", ""), ("longer", "NotReady", "23", "x")]
    output.print_table(("NAME", "STATE", "N", "NOTE"), rows, right="N")
    assert capsys.readouterr().out.splitlines() == [
        "NAME    STATE      N  NOTE",
        "a       Ready      1",
        "longer  NotReady  23  x",
    ]


def test_a_terminal_gets_colours_that_do_not_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "colourful", lambda: True)
    output.print_table(("A", "B"), [(output.Styled("x", "red"), "y")])
    assert capsys.readouterr().out == "A  B\n\x1b[31mx\x1b[0m  y\n"


def test_no_name_talks_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A",), [("evil\x1b[2J\nname",)])
    output.print_tree({"key": "a\x1bb", "\x07": 1})
    output.print_line("x\x1by")
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said and "evil?[2J?name" in said


def test_tree(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": {"b": 0, "none": None, "empty": [], "flag": True}, "list": ["x", {"k": 1, "l": 2}], "text": "1\n2"}
    output.print_tree(value)
    assert capsys.readouterr().out.splitlines() == [
        "a:",
        "  b: 0",
        "  flag: true",
        "list:",
        "  - x",
        "  - k: 1",
        "    l: 2",
        "text: 1",
        "  2",
    ]


def test_a_message_is_printed_with_all_of_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert forms.print_document("json", api_pb2.VersionResponse(version="1"))
    said = json.loads(capsys.readouterr().out)
    assert said == {"version": "1", "runtimeName": "", "runtimeVersion": "", "runtimeApiVersion": ""}


def test_info_that_is_json_nests() -> None:
    assert output.parsed({"b": "text", "a": '{"x": 1}'}) == {"a": {"x": 1}, "b": "text"}


def test_an_error_is_one_line_with_its_cause_before_the_advice() -> None:
    error = Internal("it\nfailed", where="/x", todo="Do this.")
    error.__cause__ = OSError(2, "No such file", "/y")
    assert errors.one_line(error) == "it failed (/x): no such file (/y): Do this."
    assert errors.one_line(NotFound("gone")) == "gone"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedPrecondition("x"), 1),
        (errors.UsageError("x"), 2),
        (NotFound("x"), 3),
        (RemoteError(Code.NOT_FOUND, "x"), 3),
        (RemoteError(Code.UNAVAILABLE, "x"), 1),
        (UnreachableError("x"), 4),
    ],
)
def test_exit_codes(error: CricketError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert errors.complain(error) == code
    assert capsys.readouterr().err == "cricket: x\n"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("json", '{"a": "é", "n": [1]}\n'),
        ("yaml", "---\na: é\nn:\n- 1\n"),
        ("jsonpath={.a}{.n}", "é[1]\n"),
        ("jsonpath={.no}", ""),
        ('jsonpath={.a}{"\\n"}', "é\n"),
    ],
)
def test_documents_of_a_stream_are_told_apart(form: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert forms.print_document(form, {"a": "é", "n": [1]}, stream=True)
    assert capsys.readouterr().out == said


def test_a_jsonpath_ends_no_line_but_on_a_terminal_and_never_talks_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert forms.print_document("jsonpath={.a}", {"a": "x\x1b"})
    assert capsys.readouterr().out == "x\x1b"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert forms.print_document("jsonpath={.a}", {"a": "x\x1b"})
    assert capsys.readouterr().out == "x?\n"


def test_the_forms_for_people_are_left_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(forms.print_document(form, {"a": 1}) for form in ("table", "wide", "name"))
    assert capsys.readouterr().out == ""


def test_which_forms_there_are() -> None:
    check = forms.form(wide=False, name=True)
    assert [check(text) for text in ("name", "yaml", "jsonpath={.a}")] == ["name", "yaml", "jsonpath={.a}"]
    with pytest.raises(argparse.ArgumentTypeError, match="'wide' is none of table, name, json, yaml and jsonpath=EXPR"):
        check("wide")
    with pytest.raises(argparse.ArgumentTypeError, match="character 4: expected }"):
        check("jsonpath={.a")
