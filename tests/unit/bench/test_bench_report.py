"""Comparing rounds, and showing what came out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from cricket.bench import drawing, explain
from cricket.bench.image import build
from cricket.bench.measure import percentile
from cricket.bench.report import compare, markdown, split_unit, svg

ROUNDS = {
    "ours": [{"start ms": 10.0, "only ours": 1.0}, {"start ms": 30.0}],
    "theirs": [{"start ms": 20.0}, {"start ms": 40.0}],
}


def test_ratios_are_taken_round_by_round_and_values_are_medians() -> None:
    row = compare(ROUNDS)[0]
    assert row.figure == "start ms"
    assert row.values == {"ours": 20.0, "theirs": 30.0}
    assert row.ratios == {"theirs": (0.5, 0.625, 0.75)}


def test_a_figure_that_only_one_runtime_has_gets_no_ratio() -> None:
    assert compare(ROUNDS)[1].ratios == {}


def test_a_ratio_to_nothing_is_left_out() -> None:
    assert compare({"a": [{"x": 1.0}], "b": [{"x": 0.0}]})[0].ratios == {}


def test_markdown_has_a_cell_for_each_column() -> None:
    lines = markdown(compare(ROUNDS)).splitlines()
    assert {line.count("|") for line in lines} == {5}
    assert "0.62 (0.50 to 0.75)" in lines[2]


def test_the_plot_is_xml_with_a_bar_for_each_value() -> None:
    root = ElementTree.fromstring(svg(compare(ROUNDS), "pods & <times>"))
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "pods & <times>" in texts
    assert "20.0 ms" in texts and "30.0 ms" in texts and "not measured" in texts and "0.62×" in texts


@pytest.mark.parametrize(
    ("figure", "name", "unit"),
    [
        ("pod start p50 ms", "pod start p50", "ms"),
        ("CPU at rest, polled %", "CPU at rest, polled", "%"),
        ("pods started per s", "pods started", "/s"),
        ("log throughput, 20 containers MB/s", "log throughput, 20 containers", "MB/s"),
        ("pull, cold s", "pull, cold", "s"),
        ("memory at 40 pods MiB", "memory at 40 pods", "MiB"),
        ("pods", "pods", ""),
        ("restarts", "restarts", ""),
    ],
)
def test_units_stand_with_the_values(figure: str, name: str, unit: str) -> None:
    assert split_unit(figure) == (name, unit)


def _check(picture: str) -> list[str]:
    """Every text is within the picture, and none lies over another one or over a bar; the texts."""
    svg_ns, taken, texts = "{http://www.w3.org/2000/svg}", list[tuple[float, float, float]](), list[str]()
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        if element.tag == f"{svg_ns}rect" and "x" in element.attrib:
            x, y = float(element.attrib["x"]), float(element.attrib["y"])
            taken.append((x, x + float(element.attrib["width"]), y + float(element.attrib["height"]) / 2))
    for element in root.iter(f"{svg_ns}text"):
        said = element.text or ""
        width = drawing.text_width(said) * 0.8  # what it takes is estimated on the large side
        x = float(element.attrib["x"]) - width * {"end": 1, "middle": 0.5}.get(element.attrib.get("text-anchor", ""), 0)
        middle = float(element.attrib["y"]) - 4
        assert x >= 0 and x + width <= drawing.WIDTH, said
        over = [t for t in taken if abs(t[2] - middle) < 7 and t[0] < x + width - 1 and x + 1 < t[1]]
        assert not over, said
        taken.append((x, x + width, middle))
        texts.append(said)
    return texts


def test_nothing_in_a_plot_lies_over_anything_else() -> None:
    names = ["cricket (crun)", "cricket (crun, 4 warm)", "containerd", "cri-o 1.37 with a name that is rather long"]
    figures = {
        "ListPodSandbox + ListContainers p50 ms": 2.0,
        "pods started per s": 12345.0,
        "a figure " * 9 + "MiB": 0.001,
    }
    rounds = {name: [{figure: value * (at + 1) for figure, value in figures.items()}] for at, name in enumerate(names)}
    texts = _check(svg(compare(rounds), "40 pods"))
    assert set(names) <= set(texts) and "49380 /s" in texts and any(said.endswith("…") for said in texts)


def test_nothing_in_a_waterfall_lies_over_anything_else() -> None:
    bars = [
        explain.Bar("RunPodSandbox", 0.0, 40.0, 0, 5, 11 << 10),
        explain.Bar("network setup", 1.0, 30.0, 1),
        explain.Bar("waiting for the kernel to end the process, which takes long", 31.0, 0.001, 2),
        explain.Bar("RemovePodSandbox", 80.0, 20.0, 0, 1, 0),
        explain.Bar("unmount", 99.9, 0.1, 1),
    ]
    texts = _check(explain.svg(bars))
    assert "40.0 ms, 5 processes, 11 KiB" in texts and "20.0 ms, 1 process, 0 KiB" in texts and "100 ms" in texts
    plain, coloured = explain.text(bars), explain.text(bars, colours=True)
    assert "\x1b" not in plain and re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_ticks_are_round_and_few() -> None:
    assert drawing.ticks(100, 8) == [0, 20, 40, 60, 80, 100]
    assert drawing.ticks(0.7, 8) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert drawing.ticks(0, 8) == [0]
    assert all(len(drawing.ticks(end, 8)) <= 9 for end in (1, 3, 7.7, 12, 99, 1001, 4999))


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.99) == 2.0


def test_the_image_is_a_layout_whose_blobs_have_their_digests(tmp_path: object) -> None:
    import hashlib
    import os

    layout = f"{tmp_path}/image"
    build(layout, ["localhost/a:1", "localhost/b:1"])
    for name in os.listdir(f"{layout}/blobs/sha256"):
        with open(f"{layout}/blobs/sha256/{name}", "rb") as f:
            assert hashlib.sha256(f.read()).hexdigest() == name
