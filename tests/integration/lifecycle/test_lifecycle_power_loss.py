"""After power loss the records may be older than what is on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from harness.node import Node, until

from cricket.kernel import mounts

pytestmark = pytest.mark.root


def test_what_no_record_names_is_swept_with_its_address(tmp_path: Path) -> None:
    with Node.made(tmp_path) as node:
        kept = node.run_pod()
        node.daemon.stop()
        before = (node.root / "state.db").read_bytes()
        node.daemon.start()
        node.run_pod()
        node.daemon.kill()
        for path in node.root.glob("state.db*"):
            path.unlink()
        (node.root / "state.db").write_bytes(before)
        cri = node.daemon.start()
        assert [box.id for box in cri.call("ListPodSandbox").items] == [kept]
        attached = [p.name for p in (node.root / "network/results").iterdir()]
        assert len(attached) == 1 and kept in attached[0]
        node.remove_pods()
        node.assert_clean()


def test_a_lost_store_leaves_nothing_behind(tmp_path: Path) -> None:
    with Node.made(tmp_path) as node:
        node.run_pod()
        node.daemon.kill()
        for path in node.root.glob("state.db*"):
            path.unlink()
        shutil.rmtree(node.root / "probe", ignore_errors=True)
        node.daemon.start()
        node.assert_clean()


@pytest.mark.parametrize("emptied", [True, False])
def test_warm_sandboxes_of_another_boot_give_their_addresses_back(tmp_path: Path, emptied: bool) -> None:
    """After a reboot their namespaces are gone, and, where /run is kept in memory, their directories."""
    with Node.made(tmp_path, network={"warm_sandboxes": 2}) as node:
        until(lambda: len(node.leaks.warm()) == 2, "the pool is not filled")
        node.daemon.kill()
        for point in reversed(node.leaks.mounts()):
            mounts.unmount(point)
        if emptied:
            shutil.rmtree(node.state / "sandboxes")
        node.daemon.write_config(network={"warm_sandboxes": 0})
        node.daemon.start()
        until(lambda: not node.network.reserved(), "addresses are held")
        node.assert_clean()
        assert not node.leaks.warm()
