"""When this host's iptables reads our rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.kernel import nftables_support as support


@pytest.mark.parametrize(
    ("program", "good"),
    [
        (b"\0x\x001.8.9\0rest", True),
        (b"\x001.8.9 (nf_tables)\0", True),
        (b"\0v1.8.10\0", True),
        (b"\x001.9.0\0", True),
        (b"\x002.0.0\0", True),
        (b"\x001.8.7\0", False),
        (b"\x001.8.7 (nf_tables)\0", False),
        (b"libxtables 1.8.9", False),
        (b"", False),
    ],
)
def test_versions(program: bytes, good: bool) -> None:
    assert support.new_enough(program) is good


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where iptables is looked for; the kernel can everything."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(support, "_answer", (False, float("-inf")))
    monkeypatch.setattr(support, "_programs", {})
    monkeypatch.setattr(support, "_kernel_can", lambda: True)
    for name in ("xtables-nft-multi", "xtables-legacy-multi"):
        (tmp_path / name).write_bytes(b"\x001.8.9\0")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def link(directory: Path, name: str, target: str) -> None:
    (directory / name).symlink_to(target)


def test_both_on_nf_tables(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link(programs, "iptables", "iptables-nft")
    link(programs, "iptables-nft", "xtables-nft-multi")
    assert not support.iptables_is_nft(), "there is no ip6tables"
    link(programs, "ip6tables", "xtables-nft-multi")
    assert not support.iptables_is_nft(), "the answer is good for some seconds"
    monkeypatch.setattr(support, "_answer", (False, float("-inf")))
    assert support.iptables_is_nft()


def test_one_is_the_old_one(programs: Path) -> None:
    link(programs, "iptables", "xtables-nft-multi")
    link(programs, "ip6tables", "xtables-legacy-multi")
    assert not support.iptables_is_nft()


def test_a_wrapper_is_not_known(programs: Path) -> None:
    for name in ("iptables", "ip6tables"):
        (programs / name).write_text("#!/bin/sh\nexec xtables-nft-multi\n")
        (programs / name).chmod(0o755)
    assert not support.iptables_is_nft()


def test_none_at_all(programs: Path) -> None:
    assert not support.iptables_is_nft()


def test_the_kernel_cannot(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("iptables", "ip6tables"):
        link(programs, name, "xtables-nft-multi")
    monkeypatch.setattr(support, "_kernel_can", lambda: False)
    assert not support.iptables_is_nft()
