"""The drawing of a pull."""

from __future__ import annotations

import io
import re
import time
from typing import Any

from cricket._proto.cricket import side_pb2 as pb
from cricket.cli.progress import Display, lines


def _state(stage: str, *layers: tuple[int, int, str], note: str = "") -> Any:
    items = [
        pb.LayerProgress(digest=f"sha256:{n:064x}", size=size, received=got, state=state)
        for n, (size, got, state) in enumerate(layers)
    ]
    return pb.PullProgressResponse(reference="docker.io/library/x:1", stage=stage, layers=items, note=note)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_line_for_each_layer_and_none_too_wide() -> None:
    state = _state("fetching", (1000, 500, "downloading"), (0, 0, "downloading"), (5, 5, "done"), (7, 0, "here"))
    head, half, unknown, done, here = lines(state, 100)
    assert head == "docker.io/library/x:1: fetching, 2 of 4 layers (505B of 1.00kB)"
    assert "[============            ]  50% downloading" in half and "  0% downloading" in unknown
    assert done.endswith("done") and here.endswith("already here")
    assert all(len(line) < 30 for line in lines(state, 30))


def test_many_layers_are_drawn_as_far_as_they_matter() -> None:
    drawn = lines(_state("fetching", *[(1, 1, "done")] * 20, *[(1, 0, "waiting")] * 15), 80)
    assert len(drawn) == 13 and not any(line.endswith("done") for line in drawn[1:])


def test_a_terminal_is_drawn_over_and_left_clean() -> None:
    out = Terminal()
    display = Display(out)
    display.show(_state("resolving"))
    display.show(_state("fetching", (10, 5, "downloading")))
    display.close()
    display.show(_state("recording"))
    said = out.getvalue()
    assert said.count("\x1b[1A") == 1 and said.endswith("\x1b[2A\r\x1b[J") and "recording" not in said


def test_a_log_gets_a_line_for_each_stage() -> None:
    out = io.StringIO()
    display = Display(out)
    for state in (
        _state("waiting"),
        _state("resolving"),
        _state("fetching", (10, 1, "downloading")),
        _state("fetching", (10, 9, "downloading")),
        _state("fetching", (10, 9, "downloading"), note="retrying"),
        _state("done", note="sha256:1"),
    ):
        display.show(state)
    display.close()
    assert [line.partition("x:1: ")[2] for line in out.getvalue().splitlines()] == [
        "resolving",
        "fetching, 0 of 1 layers",
        "fetching, 0 of 1 layers: retrying",
    ]


def test_several_pulls_share_the_terminal() -> None:
    out = Terminal()
    display = Display(out)
    many = [(1, 0, "waiting")] * 20
    for name in ("a", "b", "c"):
        display.begin(name)
        display.show(_state("fetching", *many), name)
    assert _screen(out.getvalue()).count("library/x:1: fetching") == 3
    assert len(_screen(out.getvalue()).splitlines()) == 3 * 5
    display.end("b")
    display.show(_state("fetching", *many), "b")  # too late
    assert _screen(out.getvalue()).count("library/x:1: fetching") == 2
    display.close()
    assert _screen(out.getvalue()) == ""


def test_a_runtime_that_tells_nothing() -> None:
    out = Terminal()
    display = Display(out)
    display.begin("busybox")
    end = time.monotonic() + 10
    while "/ busybox: pulling, 0s" not in out.getvalue() and "- busybox: pulling, " not in out.getvalue():
        assert time.monotonic() < end, out.getvalue()
        time.sleep(0.01)
    display.close()
    assert _screen(out.getvalue()) == ""


def _screen(said: str) -> str:
    """What is to be seen at last."""
    shown: list[str] = []
    for part in re.split(r"(\x1b\[\d+A)", said):
        if match := re.fullmatch(r"\x1b\[(\d+)A", part):
            shown = shown[: -int(match[1])]
        else:
            shown += part.replace("\r\x1b[J", "").split("\n")[:-1]
    return "\n".join(shown)
