"""What a command has loaded when it has its answer: each module is time that people wait."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

Node = Any
HEAVY = {
    "grpc",
    "hpack",
    "logging",
    "msgspec",
    "dataclasses",
    "inspect",
    "asyncio",
    "ssl",
    "yaml",
    "urllib",
    "cricket.wire.mux",
}
MOST = 190
"""Modules; 170 when this was written, 80 of them those of Python and argparse alone."""


def loaded(*words: str) -> list[str]:
    code = f"import sys; from cricket.cli.main import main; print(main({words}), *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    exit_code, *modules = done.stderr.split()
    assert exit_code == "0", done.stderr
    return modules


@pytest.mark.parametrize("words", [("ps",), ("pods",), ("images",), ("version",)])
def test_a_list_loads_little(node: Node, words: tuple[str, ...]) -> None:
    modules = loaded(*words)
    assert "google.protobuf" in modules and "cricket.client.transport" in modules  # it has asked
    assert not HEAVY & set(modules)
    assert len(modules) <= MOST
