"""Comparing rounds, and showing what came out."""

from __future__ import annotations

from xml.etree import ElementTree

from cricket.bench.image import build
from cricket.bench.measure import percentile
from cricket.bench.report import compare, markdown, svg

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
    assert "20.0" in texts and "30.0" in texts


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
