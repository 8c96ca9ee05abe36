"""JSONPath as kubectl has it."""

from __future__ import annotations

from typing import Any

import pytest

from cricket.cli import jsonpath
from cricket.cli.jsonpath_parse import JsonPathError, parse, parse_path

# The document of the Kubernetes page about JSONPath, cut.
NODES = {
    "kind": "List",
    "items": [
        {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "a"}}, "cpu": "4"},
        {"kind": "None", "metadata": {"name": "127.0.0.2"}, "cpu": "12", "ready": True, "parts": [1, 2, 3]},
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
}


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("kind is {.kind}", "kind is List"),
        ("{['kind']}{[\"kind\"]}", "ListList"),
        ("{@.kind}{$.kind}{ .kind }", "ListListList"),
        (".kind", "List"),
        ("$.kind", "List"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.items[*]['metadata.name', 'cpu']}", "127.0.0.1 4 127.0.0.2 12"),
        ("{.users[0].name}{.users[-1].name}", "myselfe2e"),
        ("{.users[0,1].name}", "myself e2e"),
        ("{.items[1].parts[0:2]} {.items[1].parts[-1:]} {.items[1].parts[::2]}", "1 2 3 1 3"),
        ('{.users[?(@.name=="e2e")].user.password}', "secret"),
        ("{.users[?(@.name=='e2e')].user.password}", "secret"),
        ("{.users[?(@.name != 'e2e')].name}", "myself"),
        ("{.users[?(@.user.username)].name}", "e2e"),
        ("{.items[?(@.cpu > 5)].metadata.name}", "127.0.0.2"),
        ("{.items[?(@.cpu <= 4.5)].metadata.name}", "127.0.0.1"),
        ("{.items[?(@.ready == true)].cpu}", "12"),
        ("{.items[?(@.cpu==$.items[0].cpu)].metadata.name}", "127.0.0.1"),
        (r"{.items[0].metadata.labels.kubernetes\.io/hostname}", "a"),
        (r"{.items[0].metadata.labels['kubernetes\.io/hostname']}", "a"),
        ('{range .items[*]}[{.metadata.name}, {.cpu}] {end}{"\\n"}', "[127.0.0.1, 4] [127.0.0.2, 12] \n"),
        ("{range .items[*]}{$.kind}{range .parts[*]}<{@}>{end};{end}", "List;List<1><2><3>;"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.users..password}", "secret"),
        ("{.missing}{.missing.too}{.kind.x}{.kind[*]}", ""),
        ("{.items[1].ready} {.items[1].parts}", "true [1,2,3]"),
        ("{.users[1].user}", '{"username":"admin","password":"secret"}'),
        ("{.users[1].user.*}", "admin secret"),
        ("{'quo\\'ted'}{\"\\t\"}", "quo'ted\t"),
        ("no braces", "no braces"),
        ("", ""),
    ],
)
def test_what_templates_make(template: str, made: str) -> None:
    assert jsonpath.render(template, NODES) == made


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{.items[0}", "character 10: expected ], found '}'"),
        ("{.items[*].name", "character 16: expected }, found the end"),
        ("{.items[x]}", "character 9: expected a number, a slice, *, a name in quotes or ?(...), found 'x'"),
        ("{items}", "character 2: expected a path like .metadata.name, a text in quotes, range or end, found 'i'"),
        ("{range .items[*]}x", "character 19: expected {end} of the range that begins at character 1, found the end"),
        ("a{end}", "character 2: expected no {end}, as no range is open, found '{'"),
        ('{"text}', 'character 8: expected the closing ", found the end'),
        ("{.a['b}", "character 8: expected the closing ', found the end"),
        ("{.a[0:4:0]}", "character 9: expected a step of 1 or more, found '0'"),
        ("{.a[?(@.b=)]}", "character 10: expected one of ==, !=, <=, >=, <, > or ), found '='"),
        ("{.a[?(@.b==)]}", "character 12: expected @.name, a number, a text in quotes, true, false or null, found ')'"),
        ("{.a[?(1)]}", "character 8: expected one of ==, !=, <=, >=, <, >, found ')'"),
        ("{.a[?(@.b==1]}", "character 13: expected ), found ']'"),
        ("{.a.=}", "character 5: expected a name or *, found '='"),
        ("{.a\\", "character 5: expected a character after the backslash, found the end"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(template: str, said: str) -> None:
    with pytest.raises(JsonPathError) as error:
        parse(template)
    assert error.value.what == said and error.value.where == template


def test_an_element_that_is_missing_is_an_error_and_a_comparison_of_many_too() -> None:
    with pytest.raises(JsonPathError, match=r"there is no element 2 \(\[2\]\). the list has 2"):
        jsonpath.render("{.items[2]}", NODES)
    with pytest.raises(JsonPathError, match="compares single values"):
        jsonpath.render("{.items[?(@.parts[*]==1)]}", NODES)


def test_items_is_another_name_of_the_list() -> None:
    document = {"containers": [{"id": "a"}, {"id": "b", "items": [1]}]}
    assert (
        jsonpath.render("{.items[*].id}{..items}", document, items="containers")
        == 'a b[{"id":"a"},{"id":"b","items":[1]}] [1]'
    )
    assert jsonpath.render("{.items}", {"items": 1, "containers": 2}, items="containers") == "1"


def test_what_comes_from_the_document_is_cleaned() -> None:
    assert jsonpath.render('{.kind}{"\\n"}', {"kind": "a\x1b"}, clean=lambda text: text.replace("\x1b", "?")) == "a?\n"


def _sorted(path: str, values: list[Any]) -> list[Any]:
    return [values[at] for at in jsonpath.ordered(values, path)]


def test_order() -> None:
    values = [{"s": "12"}, {"s": "9"}, {}, {"s": "b"}, {"s": "a"}, {"s": -1}]
    assert _sorted(".s", values) == [{"s": -1}, {"s": "9"}, {"s": "12"}, {"s": "a"}, {"s": "b"}, {}]
    assert _sorted("{.a.b}", [{"a": {"b": 2}}, {"a": {"b": 1}}]) == [{"a": {"b": 1}}, {"a": {"b": 2}}]
    assert jsonpath.ordered([], "x") == []
    with pytest.raises(JsonPathError, match="nothing that is listed has this field"):
        jsonpath.ordered(values, ".no")


@pytest.mark.parametrize("text", ["{.a}", ".a", "a", "$.a", " a "])
def test_a_path_needs_no_braces(text: str) -> None:
    assert jsonpath.find(text, {"a": 1}) == [1]


@pytest.mark.parametrize("text", ["{.a}{.b}", "a b", "{range .a}", ""])
def test_what_is_no_single_path(text: str) -> None:
    with pytest.raises(JsonPathError):
        parse_path(text)
