"""Keys, order, filter and folding of `cricket top`."""

from __future__ import annotations

import pytest
from top_samples import frame

from cricket.cli.top.keys import keys
from cricket.cli.top.view import View, place, press, rows

FRAME = frame()


def after(*pressed: str, view: View | None = None) -> View:
    view = view or View()
    for key in pressed:
        view = press(view, key, FRAME, 3)
    return view


def names(view: View) -> list[str]:
    return [row.container.name if row.container else row.pod.name.partition("-")[0] for row in rows(FRAME, view)]


@pytest.mark.parametrize(
    ("key", "pods"),
    [
        ("c", ["p1", "p2", "p3"]),
        ("m", ["p1", "p2", "p3"]),
        ("n", ["p1", "p2", "p3"]),
        ("d", ["p1", "p2", "p3"]),
        ("r", ["p2", "p3", "p1"]),
        ("a", ["p3", "p2", "p1"]),
        ("p", ["p2", "p3", "p1"]),
    ],
)
def test_orders_and_the_other_way_round(key: str, pods: list[str]) -> None:
    def order(view: View) -> list[str]:
        return [row.id for row in rows(FRAME, view) if row.container is None]

    once = after(key, view=View(sort="memory" if key == "c" else "cpu"))
    assert order(once) == pods
    if key != "p":
        # What is alike keeps its order by name.
        assert order(after(key, view=once))[-1] == pods[0]
    assert after(key, key, view=once).backwards is False


def test_folding() -> None:
    assert names(View()) == ["web", "server", "a", "job", "名前", "gone"]
    folded = after("enter")
    assert names(folded) == ["web", "a", "job", "名前", "gone"]
    assert names(after(" ", view=folded)) == names(View())
    assert names(after("-")) == ["web", "a", "gone"]
    assert names(after("-", "+")) == names(View())


def test_left_on_a_container_folds_its_pod_and_chooses_it() -> None:
    view = after("down", "left")
    assert view.chosen == "p1" and "server" not in names(view)


def test_moving_stays_within_the_list() -> None:
    assert after("down").chosen == "c1"
    assert after("down", "up", "up").chosen == "p1"
    assert after("G").chosen == "p3" and after("G", "j").chosen == "p3" and after("G", "home").chosen == "p1"
    assert after("pagedown").chosen == "c2"


def test_what_is_chosen_stays_chosen_when_the_order_changes() -> None:
    view = after("down", "r")
    assert rows(FRAME, view)[place(view, rows(FRAME, view))].id == "c1"
    folded = after("-", view=view)
    assert rows(FRAME, folded)[place(folded, rows(FRAME, folded))].id == "p1"


def test_a_filter_is_typed_and_taken_back() -> None:
    view = after("/", *"serx", "backspace")
    assert view.typing and names(view) == ["web", "server"]
    assert not after("enter", view=view).typing and names(after("enter", view=view)) == ["web", "server"]
    assert after("escape", view=view).filter == ""
    assert after("enter", "escape", view=view).filter == ""
    assert names(after("/", *"DEFAULT/WEB", "enter")) == ["web", "server"], "a pod that fits has all its containers"
    assert names(after("/", *"nothing")) == []


def test_keys_are_text_while_a_filter_is_typed() -> None:
    assert after("/", "q").filter == "q" and not after("/", "q").over


def test_details_and_help() -> None:
    view = after("down", "enter")
    assert view.details and view.chosen == "c1"
    assert not after("escape", view=view).details
    assert after("i").details and after("i").chosen == "p1"
    assert after("?").help and not after("?", "x").help and not after("?", "x").over
    assert after("q").over and after("?", "q").over


def test_no_key_fails_without_pods() -> None:
    empty = frame(*[]).__class__(time=1)
    for key in ("up", "down", "enter", "left", "right", " ", "G", "home", "i", "-", "+", "/", "escape", "nonsense"):
        press(View(), key, empty, 1)


def test_bytes_of_a_keyboard() -> None:
    assert keys(b"q\x1b[A\x1bOB\x1b[5~j\r\x7f\t/") == [
        "q",
        "up",
        "down",
        "pageup",
        "j",
        "enter",
        "backspace",
        "tab",
        "/",
    ]
    assert keys(b"\x1b") == ["escape"]
    assert keys("é漢".encode()) == ["é", "漢"]
    assert keys(b"\x1b[200~\x01\xff\x1b[1;5C") == [], "what means nothing is left out"
