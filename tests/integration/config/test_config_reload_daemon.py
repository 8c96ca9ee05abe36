"""What a running daemon takes over from its file, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.images import busybox
from harness.node import Node

from cricket.client.connection import Client

pytestmark = pytest.mark.root


def test_a_reload_applies_what_it_says_and_holds_back_the_rest(tmp_path: Path) -> None:
    busybox().write_layout(tmp_path / "layout", "example.com/a/box:1")
    with Node.made(tmp_path) as node, Client(f"unix://{node.socket}") as client:
        client.call("LoadImage", path=str(tmp_path / "layout"))
        (image,) = client.call("ListImages").images
        assert not image.pinned
        node.daemon.write_config(
            images={"pinned": ["example.com/*/box:*"]},
            monitor={"path": "/nonexistent/conmon"},
            handlers={"other": {"path": "runc"}},
            socket_mode=0o600,
        )
        answer = client.call("Reload")
        assert list(answer.applied) == ["images.pinned", "monitor.path"]
        assert set(answer.needs_restart) >= {"handlers.other.path", "socket_mode"}
        (image,) = client.call("ListImages").images
        assert image.pinned
        pod = node.run_pod(config := node.pod())
        container = node.create(pod, node.container("example.com/a/box:1", "true"), config)
        with pytest.raises(Exception, match="/nonexistent/conmon"):
            node.start(container)
        node.remove_pods()
        node.assert_clean()
