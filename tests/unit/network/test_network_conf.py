"""Configurations: what is read, in which order, and what hostile or broken files come to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cricket.errors import InvalidArgument
from cricket.network.conf import load, load_file, parse

PLUGIN = {"type": "bridge"}


def text(**changes: object) -> bytes:
    body = {"cniVersion": "1.0.0", "name": "net", "plugins": [PLUGIN], **changes}
    return json.dumps({k: v for k, v in body.items() if v is not None}).encode()


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"", "JSON"),
        (b"[]", "not a JSON object"),
        (b"{", "JSON"),
        (b'{"a": NaN}', "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"a":' * 50_000, "JSON"),
        (text(name=None), "`name`"),
        (text(name=7), "`name`"),
        (text(name="../../etc/passwd"), "`name`"),
        (text(name="a\nb"), "`name`"),
        (text(name="ok\n"), "`name`"),
        (text(name="a" * 300), "`name`"),
        (text(name=""), "`name`"),
        (text(cniVersion=1), "`cniVersion`"),
        (text(cniVersion="9.0.0"), "9.0.0"),
        (text(cniVersion="one"), "`cniVersion`"),
        (text(cniVersion="1.0.0-rc1"), "`cniVersion`"),
        (text(cniVersions="1.0.0"), "`cniVersions`"),
        (text(cniVersions=["1.0.0", 1]), "`cniVersions`"),
        (text(plugins=[]), "`plugins`"),
        (text(plugins={}), "`plugins`"),
        (text(plugins=["bridge"]), r"plugins\[0\]"),
        (text(plugins=[{}]), r"`plugins\[0\].type`"),
        (text(plugins=[PLUGIN, {"type": "../sh"}]), r"`plugins\[1\].type`"),
        (text(plugins=[{"type": "/bin/sh"}]), r"`plugins\[0\].type`"),
        (text(plugins=[{"type": ".."}]), r"`plugins\[0\].type`"),
        (text(plugins=[{"type": "a\x00b"}]), r"`plugins\[0\].type`"),
        (text(plugins=[{"type": "a", "ipam": {"type": "../x"}}]), r"`plugins\[0\].ipam.type`"),
        (text(plugins=[{"type": "a", "capabilities": ["x"]}]), r"`plugins\[0\].capabilities`"),
        (text(plugins=[{"type": "a", "capabilities": {"x": "yes"}}]), r"`plugins\[0\].capabilities`"),
        (text(disableCheck="perhaps"), "`disableCheck`"),
        (text(disableGC=1), "`disableGC`"),
        (text(plugins=None, loadOnlyInlinedPlugins=True), "`loadOnlyInlinedPlugins`"),
    ],
)
def test_errors_name_the_file_and_the_key(data: bytes, key: str) -> None:
    with pytest.raises(InvalidArgument, match=key) as caught:
        parse(data, "/etc/cni/net.d/10-x.conflist")
    assert "/etc/cni/net.d/10-x.conflist" in str(caught.value)


def test_a_list() -> None:
    conf = parse(text(disableCheck="TRUE", disableGC=True, plugins=[{"type": "a", "ipam": {"type": "b"}}, PLUGIN]), "f")
    assert (conf.name, conf.version, conf.disable_check, conf.disable_gc) == ("net", "1.0.0", True, True)
    assert conf.plugin_types() == ("a", "b", "bridge")


def test_a_single_configuration_becomes_a_list() -> None:
    conf = parse(b'{"cniVersion":"0.4.0","name":"one","type":"bridge","x":{"y":[1]}}', "f")
    assert conf.plugins == ({"cniVersion": "0.4.0", "name": "one", "type": "bridge", "x": {"y": [1]}},)
    assert parse(conf.raw, "f").plugins == conf.plugins


@pytest.mark.parametrize(
    ("one", "many", "chosen"),
    [
        ("0.3.1", None, ("0.3.1",)),
        (None, None, ("0.1.0",)),
        ("", None, ("0.1.0",)),
        ("1.0", None, ("1.0.0",)),
        ("0.4.0", ["0.3.1", "1.0.0", "1.1.0", "2.0.0"], ("1.1.0", "1.0.0", "0.4.0", "0.3.1")),
        (None, ["0.3.1", "1.0.0"], ("1.0.0", "0.3.1")),
    ],
)
def test_versions(one: str | None, many: list[str] | None, chosen: tuple[str, ...]) -> None:
    conf = parse(text(cniVersion=one, cniVersions=many), "f")
    assert conf.versions == chosen and conf.version == chosen[0]


def test_the_first_valid_file_by_name_counts_and_broken_ones_are_told(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "00-broken.conflist").write_text("{")
    (one / "10-b.json").write_text('{"cniVersion":"0.4.0","name":"b","type":"ptp"}')
    (one / "05-a.conf.bak").write_bytes(text(name="backup"))
    (one / "20-c.conflist").write_bytes(text(name="c"))
    (two / "00-z.conf").write_text('{"cniVersion":"0.4.0","name":"z","type":"ptp"}')
    found = load([str(tmp_path / "missing"), str(one), str(two)])
    assert [n.name for n in found.networks] == ["b", "c", "z"]
    [(file, reason)] = found.broken
    assert file.endswith("00-broken.conflist") and file in reason and "JSON" in reason
    assert [found.default(n) and found.default(n).name for n in ("", "c", "nope")] == ["b", "c", None]  # type: ignore[union-attr]  # tests


def test_hostile_directory_entries(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "00.conflist")
    (tmp_path / "01.conflist").mkdir()
    (tmp_path / "02.conflist").symlink_to("/dev/zero")
    (tmp_path / "03.conflist").symlink_to("03.conflist")
    (tmp_path / "04.conflist").symlink_to("/nonexistent")
    (tmp_path / "05.conflist").write_bytes(b" " * (2 << 20))
    (tmp_path / "06.conflist").write_bytes(b"")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/07\xff.conflist"))).write_bytes(text())
    found = load([str(tmp_path)])
    assert [n.name for n in found.networks] == ["net"]
    assert len(found.broken) == 7


def test_plugins_beside_the_list_are_inlined(tmp_path: Path) -> None:
    file = tmp_path / "10.conflist"
    file.write_bytes(text(plugins=None))
    with pytest.raises(InvalidArgument, match="no plugins"):
        load_file(str(file))
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "20.conf").write_text('{"type":"second"}')
    (tmp_path / "net" / "10.conf").write_text('{"type":"first"}')
    (tmp_path / "net" / "00.json").write_text('{"type":"ignored"}')
    assert load_file(str(file)).plugin_types() == ("first", "second")
    file.write_bytes(text())
    conf = load_file(str(file))
    assert conf.plugin_types() == ("bridge", "first", "second")
    assert parse(conf.raw, "f").plugin_types() == conf.plugin_types()
    file.write_bytes(text(loadOnlyInlinedPlugins=True))
    assert load_file(str(file)).plugin_types() == ("bridge",)
    file.write_bytes(text())
    (tmp_path / "net" / "30.conf").write_text("{}")
    with pytest.raises(InvalidArgument, match="30.conf"):
        load_file(str(file))
