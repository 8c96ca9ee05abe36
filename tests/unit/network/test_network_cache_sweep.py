"""Entries of the CNI cache that a death has cut short."""

from __future__ import annotations

from pathlib import Path

from cricket.network.network import Network


async def test_collection_removes_them_and_leaves_what_is_not_ours(tmp_path: Path) -> None:
    results = tmp_path / "results"
    network = Network([str(tmp_path / "conf")], [], str(tmp_path))
    await network.gc([])
    assert not results.exists()
    results.mkdir()
    for name in ("net-a-eth0.tmp4711", "net-b-eth0", "net-c-eth0.tmp", "net.tmp1-d-eth0"):
        (results / name).write_text("{")
    await network.gc([])
    assert sorted(p.name for p in results.iterdir()) == ["net-b-eth0", "net-c-eth0.tmp", "net.tmp1-d-eth0"]
