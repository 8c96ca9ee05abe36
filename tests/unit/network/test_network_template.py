"""Templates of the kind that containerd takes."""

from __future__ import annotations

import json

import pytest

from cricket.errors import InvalidArgument
from cricket.network.template import render, values

CONTAINERD = """
{
  "name": "containerd-net", "cniVersion": "1.0.0",
  "plugins": [{ "type": "bridge", "ipam": { "type": "host-local",
        "subnet": "{{.PodCIDR}}",
        "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
        "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]
  }}]
}
"""


def test_containerds_own_example() -> None:
    body = json.loads(render(CONTAINERD, values(["10.1.0.0/24", "fd00::/64"]), "f"))
    ipam = body["plugins"][0]["ipam"]
    assert ipam["subnet"] == "10.1.0.0/24"
    assert ipam["ranges"] == [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{range .PodCIDRRanges}}<{{.}}>{{end}}", "<10.1.0.0/24>"),
        ("a {{- .PodCIDR -}} b", "a10.1.0.0/24b"),
        ("{{/* a comment */}}x", "x"),
        ("{{if .PodCIDR}}yes{{else}}no{{end}}", "yes"),
        ("{{range $i, $r := .Routes}}{{if $i}}more{{else}}first{{end}}{{end}}", "first"),
        ("{{range $r := .Routes}}{{$r}}{{end}}", "0.0.0.0/0"),
        ("no braces", "no braces"),
    ],
)
def test_forms(template: str, text: str) -> None:
    assert render(template, values(["10.1.0.0/24"]), "f") == text


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nope}}",
        "{{end}}",
        "{{else}}",
        "{{if .PodCIDR}}",
        "{{range .Routes}}",
        "{{range .PodCIDR}}x{{end}}",
        "{{.Routes}}",
        "{{printf .PodCIDR}}",
        "{{if .PodCIDR}}a{{else}}b{{else}}c{{end}}",
    ],
)
def test_what_is_not_understood_is_told(template: str) -> None:
    with pytest.raises(InvalidArgument, match="the-file"):
        render(template, values(["10.1.0.0/24"]), "the-file")


@pytest.mark.parametrize("cidrs", [[], ["x"], ["10.0.0.0/40"], ["10.0.0.0/8", ""]])
def test_bad_cidrs(cidrs: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="pod CIDR"):
        values(cidrs)
