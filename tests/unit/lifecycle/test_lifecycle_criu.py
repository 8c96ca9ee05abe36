"""CRIU's logs, its configuration and its image of the UTS namespace."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cricket.errors import DataLoss, Internal, Unimplemented
from cricket.lifecycle import criu

# The end of a real log of CRIU 3.17.1 on Linux 6.18.
LOG = """\
(00.002) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
(00.009867) vdso: nbucket 3 nchain e bucket 7f7e1e21a128 chain 7f7e1e21a134
(00.009868) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds
(00.009870) Error (criu/vdso.c:613): vdso: Failed to fill self vdso symtable
(00.009870) Error (criu/kerndat.c:1615): kerndat_vdso_fill_symtable failed when initializing kerndat.
(00.009891) files stat: fs/nr_open 1048576
"""


def program(directory: Path, script: str) -> None:
    """Put a `criu` into the directory."""
    path = directory / "criu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_complaints(tmp_path: Path) -> None:
    (tmp_path / "dump.log").write_text(LOG)
    said = criu.complaints(str(tmp_path / "dump.log"))
    assert said.startswith("vdso: Unexpected rt vDSO area bounds; vdso: Failed to fill")
    assert "RLIMIT" not in said
    assert criu.complaints(str(tmp_path / "none.log")) == ""


async def test_a_runtimes_error_gets_criu_s_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path, "exit 0")
    (tmp_path / "dump.log").write_text(LOG)
    error = Internal("criu failed: type NOTIFY errno 0\nlog file: /x", where="id")
    with pytest.raises(Internal) as told:
        await criu.explain(error, str(tmp_path / "dump.log"))
    assert str(told.value).startswith("criu failed: type NOTIFY errno 0; CRIU: vdso: Unexpected")
    with pytest.raises(Internal) as same:
        await criu.explain(error, str(tmp_path / "none.log"))
    assert same.value is error


async def test_a_kernel_that_criu_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(
        tmp_path,
        'case $1 in check) echo "Error (criu/vdso.c:381): vdso: bad" >&2; exit 1;; *) echo Version: 3.17.1;; esac',
    )
    with pytest.raises(
        Unimplemented, match=r"CRIU 3\.17\.1 \(.*/criu\) does not work on Linux .*: vdso: bad.*newer CRIU"
    ):
        await criu.explain(Internal("it failed"), "")


async def test_without_criu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unimplemented, match="not installed"):
        await criu.explain(Internal("it failed"), "")


# utsns-12.img of a real checkpoint: two magic numbers, the size, nodename "podA", domainname "(none)".
UTS = bytes.fromhex("19435654") + bytes.fromhex("03324754") + b"\x0e\0\0\0" + b"\x0a\x04podA\x12\x06(none)"


def test_set_hostname(tmp_path: Path) -> None:
    image = tmp_path / "utsns-12.img"
    image.write_bytes(UTS)
    assert criu.set_hostname(str(tmp_path), "another-pod")
    assert image.read_bytes() == UTS[:8] + b"\x15\0\0\0" + b"\x0a\x0banother-pod\x12\x06(none)"
    assert not criu.set_hostname(str(tmp_path), "")
    assert not criu.set_hostname(str(tmp_path), "x" * 65)
    (tmp_path / "utsns-13.img").write_bytes(UTS)
    assert not criu.set_hostname(str(tmp_path), "pod")


@pytest.mark.parametrize("data", [b"", UTS[:11], UTS[:14], UTS[:-1], UTS + b"x", UTS[:12] + b"\x0a\xff\x12"])
def test_a_malformed_image_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "utsns-12.img").write_bytes(data)
    with pytest.raises(DataLoss):
        criu.set_hostname(str(tmp_path), "pod")
    assert (tmp_path / "utsns-12.img").read_bytes() == data


def test_the_administrators_options_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = tmp_path / "runc.conf"
    monkeypatch.setattr(criu, "_ADMIN_CONFIG", str(admin))
    criu.write_config(str(tmp_path / "criu.conf"), "", cgroup_version=1)
    assert (tmp_path / "criu.conf").read_text() == "tcp-close\n"
    admin.write_text("link-remap")
    criu.write_config(str(tmp_path / "criu.conf"), "/run/x/uts", cgroup_version=2)
    assert (
        tmp_path / "criu.conf"
    ).read_text() == "link-remap\ntcp-close\nmanage-cgroups=ignore\njoin-ns uts:/run/x/uts\n"
