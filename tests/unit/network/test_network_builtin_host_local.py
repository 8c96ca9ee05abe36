"""host-local's reservations and addresses, on files of the test."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from cricket.network.attachment import Attachment
from cricket.network.builtin import host_local_store as store
from cricket.network.builtin.addresses import (
    Cidr,
    following,
    is_global_unicast,
    is_loopback,
    pack,
    parse_cidr,
    unpack,
)
from cricket.network.builtin.base import Call, Refused
from cricket.network.builtin.host_local import PLUGIN


def call(data: Path, ranges: Any, container_id: str = "a", **conf: Any) -> Call:
    ipam = {"type": "host-local", "dataDir": str(data), "ranges": ranges}
    return Call({"name": "net", "cniVersion": "1.0.0", "ipam": ipam, **conf}, Attachment(container_id, "/netns"))


def first(answer: dict[str, Any]) -> str:
    return str(answer["ips"][0]["address"])


RANGES = [[{"subnet": "10.1.0.0/29"}]]


def test_round_robin(tmp_path: Path) -> None:
    got = [first(PLUGIN.add(call(tmp_path, RANGES, c))) for c in "abc"]
    assert got == ["10.1.0.2/29", "10.1.0.3/29", "10.1.0.4/29"]
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert first(PLUGIN.add(call(tmp_path, RANGES, "d"))) == "10.1.0.5/29"
    assert (tmp_path / "net" / "10.1.0.5").read_bytes() == b"d\r\neth0"
    assert (tmp_path / "net" / "last_reserved_ip.0").read_text() == "10.1.0.5"
    assert [first(PLUGIN.add(call(tmp_path, RANGES, c))) for c in "ef"] == ["10.1.0.6/29", "10.1.0.2/29"]
    with pytest.raises(Refused, match=r"no address is free in 10\.1\.0\.1-10\.1\.0\.6"):
        PLUGIN.add(call(tmp_path, RANGES, "g"))


def test_the_same_pod_twice(tmp_path: Path) -> None:
    PLUGIN.add(call(tmp_path, RANGES))
    with pytest.raises(Refused, match="may not get another"):
        PLUGIN.add(call(tmp_path, RANGES))
    PLUGIN.check(call(tmp_path, RANGES))
    for _ in range(2):
        PLUGIN.delete(call(tmp_path, RANGES))
    with pytest.raises(Refused, match="no address is reserved"):
        PLUGIN.check(call(tmp_path, RANGES))


def test_release_works_with_other_ranges_and_without_the_directory(tmp_path: Path) -> None:
    PLUGIN.add(call(tmp_path, RANGES))
    PLUGIN.delete(call(tmp_path, []))
    assert not (tmp_path / "net" / "10.1.0.2").exists()
    PLUGIN.delete(call(tmp_path / "absent", RANGES))
    assert not (tmp_path / "absent").exists()


def test_a_failure_releases_what_was_taken(tmp_path: Path) -> None:
    ranges = [*RANGES, [{"subnet": "10.2.0.0/29", "rangeStart": "10.2.0.3", "rangeEnd": "10.2.0.3"}]]
    PLUGIN.add(call(tmp_path, ranges, "a"))
    with pytest.raises(Refused, match="no address is free"):
        PLUGIN.add(call(tmp_path, ranges, "b"))
    assert sorted(os.listdir(tmp_path / "net"))[:2] == ["10.1.0.2", "10.2.0.3"]


def test_what_others_do_is_seen(tmp_path: Path) -> None:
    """Another runtime's plugin reserves and releases behind our back."""
    PLUGIN.add(call(tmp_path, RANGES, "a"))
    net = tmp_path / "net"
    (net / "10.1.0.3").write_text("theirs\r\neth0")
    assert first(PLUGIN.add(call(tmp_path, RANGES, "b"))) == "10.1.0.4/29"
    # The address changes hands without the directory's names changing.
    (net / "10.1.0.2").unlink()
    (net / "10.1.0.2").write_text("other\r\neth0")
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert (net / "10.1.0.2").exists()
    PLUGIN.delete(call(tmp_path, RANGES, "other"))
    assert not (net / "10.1.0.2").exists()
    PLUGIN.delete(call(tmp_path, RANGES, "theirs"))
    assert not (net / "10.1.0.3").exists()


def test_memory_is_not_believed_without_a_look(tmp_path: Path) -> None:
    """Even when the directory's time has not moved, as on kernels whose clock for files ticks every 4 ms."""
    PLUGIN.add(call(tmp_path, RANGES, "a"))
    net = tmp_path / "net"
    before = net.stat()
    (net / "10.1.0.2").unlink()
    (net / "10.1.0.2").write_text("b\r\neth0")
    os.utime(net, ns=(before.st_atime_ns, before.st_mtime_ns))
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert (net / "10.1.0.2").exists()
    PLUGIN.delete(call(tmp_path, RANGES, "b"))
    assert not (net / "10.1.0.2").exists()


def test_reservations_of_old_versions_have_no_interface(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    (net / "10.1.0.2").write_text("a")
    with pytest.raises(Refused, match="may not get another"):
        PLUGIN.add(call(tmp_path, RANGES, "a"))
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert not (net / "10.1.0.2").exists()


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    PLUGIN.add(call(tmp_path, RANGES, "a"))
    done = threading.Event()

    def add() -> None:
        PLUGIN.add(call(tmp_path, RANGES, "b"))
        done.set()

    with open(tmp_path / "net" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=add)
        thread.start()
        assert not done.wait(0.05)
    assert done.wait(5)
    thread.join()


def test_a_lock_that_stays_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PLUGIN.add(call(tmp_path, RANGES, "a"))
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.01)
    with open(tmp_path / "net" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="lock") as caught:
            PLUGIN.add(call(tmp_path, RANGES, "b"))
    assert caught.value.code == 11
    PLUGIN.add(call(tmp_path, RANGES, "b"))


def test_many_threads(tmp_path: Path) -> None:
    got: list[str] = []
    ranges = [[{"subnet": "10.1.0.0/24"}]]
    threads = [
        threading.Thread(target=lambda c=c: got.append(first(PLUGIN.add(call(tmp_path, ranges, f"c{c}")))))  # type: ignore[misc]  # a lambda
        for c in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 32


def test_unreadable_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    net = tmp_path / "net"
    (net / "10.1.0.2").mkdir(parents=True)
    (net / "words").write_bytes(b"\xff\xfe")
    os.mkfifo(net / "10.1.0.3")
    assert first(PLUGIN.add(call(tmp_path, RANGES, "a"))) == "10.1.0.4/29"
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert {"10.1.0.2", "10.1.0.3", "words"} < set(os.listdir(net))


def test_a_reservation_cut_short_is_given_back(tmp_path: Path) -> None:
    """A daemon killed between making the file and writing the owner would lose the address for ever."""
    net = tmp_path / "net"
    net.mkdir()
    (net / "10.1.0.2").touch()
    (net / "10.1.0.3").touch()
    PLUGIN.delete(call(tmp_path, RANGES, "a"))
    assert not (net / "10.1.0.2").exists() and not (net / "10.1.0.3").exists()
    assert first(PLUGIN.add(call(tmp_path, RANGES, "b"))) == "10.1.0.2/29"


def test_the_default_directory() -> None:
    assert store.directory("", "net") == "/var/lib/cni/networks/net"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.1.0.5", "10.1.0.5"), ("FD00::0:1", "fd00::1"), ("::ffff:10.1.0.5", "10.1.0.5"), ("::102:304", "::102:304")],
)
def test_addresses(text: str, canonical: str) -> None:
    assert unpack(pack(text)) == canonical


@pytest.mark.parametrize("text", ["", "10.1", "010.1.0.5", "10.1.0.5/16", "fd00::1%eth0", None, 5, "10.1.0.256"])
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(Refused, match="not an IP address"):
        pack(text)


@pytest.mark.parametrize(
    "text", ["10.1.0.5", "10.1.0.5/", "10.1.0.5/33", "10.1.0.5/-1", "fd00::/129", "x/8", None, "/8"]
)
def test_what_is_no_subnet(text: object) -> None:
    with pytest.raises(Refused):
        parse_cidr(text)


def test_subnets() -> None:
    cidr = parse_cidr("10.1.2.3/16")
    assert str(cidr.subnet) == "10.1.0.0/16" and cidr.bits == 32
    assert cidr.holds(pack("10.1.255.255")) and not cidr.holds(pack("10.2.0.0")) and not cidr.holds(pack("fd00::1"))
    assert parse_cidr("::ffff:10.1.0.0/112") == Cidr(pack("10.1.0.0"), 16)
    assert (
        unpack(following(pack("10.1.0.255"))) == "10.1.1.0" and unpack(following(pack("255.255.255.255"))) == "0.0.0.0"
    )


def test_kinds_of_addresses() -> None:
    assert is_loopback(pack("127.3.0.1")) and is_loopback(pack("::1")) and not is_loopback(pack("10.0.0.1"))
    for text in (
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "::1",
        "224.0.0.1",
        "ff02::1",
        "169.254.1.1",
        "fe80::1",
        "255.255.255.255",
    ):
        assert not is_global_unicast(pack(text)), text
    for text in ("10.0.0.1", "8.8.8.8", "fd00::1", "2001:db8::1"):
        assert is_global_unicast(pack(text)), text
