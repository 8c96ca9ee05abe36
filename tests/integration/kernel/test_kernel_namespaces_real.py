"""Namespaces of the kernel itself: pinned, entered, given back."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cricket.errors import Internal, InvalidArgument
from cricket.kernel import mounts
from cricket.kernel.namespaces import (
    in_netns,
    is_pinned,
    pin_namespaces,
    pin_user_namespaces,
    unpin,
    write_sysctls,
)

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.getuid() != 0, reason="needs root")]
KINDS = ("net", "ipc", "uts")
MAP = [(0, 300000, 65536)]


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[dict[str, str]]:
    paths = {kind: str(tmp_path / kind) for kind in (*KINDS, "user")}
    yield paths
    unpin(paths.values())
    assert [p for p in mounts.mount_points() if p.startswith(str(tmp_path))] == []
    assert os.listdir(tmp_path) == []


def only(pins: dict[str, str], *kinds: str) -> dict[str, str]:
    return {kind: pins[kind] for kind in kinds}


def inside(pins: dict[str, str], *command: str) -> str:
    enter = [f"--{kind}={path}" for kind, path in pins.items()]
    return subprocess.run(["nsenter", *enter, *command], capture_output=True, text=True, check=True).stdout.strip()


def identity(path: str) -> tuple[int, int]:
    info = os.stat(path)
    return info.st_dev, info.st_ino


def test_new_namespaces_are_pinned_and_ours_stay(pins: dict[str, str]) -> None:
    before = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS}
    threads = threading.active_count()
    wanted = only(pins, *KINDS)
    pin_namespaces(wanted, hostname="pod-1", sysctls={"net.ipv4.ip_unprivileged_port_start": "7"})
    assert all(is_pinned(path) for path in wanted.values())
    assert len({identity(path) for path in wanted.values()} | {identity(f"/proc/self/ns/{k}") for k in KINDS}) == 6
    assert inside(wanted, "hostname") == "pod-1"
    assert inside(wanted, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "7"
    assert {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS} == before
    assert socket.gethostname() != "pod-1"
    assert threading.active_count() == threads


def test_a_failure_leaves_nothing(pins: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match=r"net\.nosuch"):
        pin_namespaces(only(pins, *KINDS), sysctls={"net.nosuch": "1"})
    with pytest.raises(Internal, match="namespaces"):
        pin_namespaces({"net": f"{pins['net']}/below/nothing"})
    assert not any(os.path.exists(path) for path in pins.values())


def test_unpinning_forgives(pins: dict[str, str]) -> None:
    wanted = only(pins, "net")
    pin_namespaces(wanted)
    for _ in range(2):
        unpin(wanted.values())
        assert not is_pinned(pins["net"])
    Path(pins["net"]).touch()  # as after a reboot, with a state directory that is no tmpfs
    assert not is_pinned(pins["net"])


def test_a_pin_that_is_taken_is_refused(pins: dict[str, str]) -> None:
    wanted = only(pins, "uts")
    pin_namespaces(wanted)
    with pytest.raises(Internal, match="cannot create namespaces"):
        pin_namespaces(wanted)
    assert not os.path.exists(pins["uts"])


async def test_a_user_namespace_owns_the_others(pins: dict[str, str]) -> None:
    await pin_user_namespaces(pins, MAP, MAP, hostname="user-pod", sysctls={"net.ipv4.ip_unprivileged_port_start": "9"})
    assert inside(pins, "cat", "/proc/self/uid_map").split() == ["0", "300000", "65536"]
    assert inside(pins, "hostname") == "user-pod"
    assert inside(pins, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "9"
    # Whoever is root in the user namespace may configure the network: it owns it.
    inside(pins, "ip", "link", "set", "lo", "up")


async def test_the_helper_of_a_user_namespace_is_gone(pins: dict[str, str]) -> None:
    def children() -> str:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text()

    before, files = children(), len(os.listdir("/proc/self/fd"))
    await pin_user_namespaces(only(pins, "user"), MAP, MAP)
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) <= files


@pytest.mark.parametrize(
    ("uids", "sysctls"),
    [([(0, 300000, 10), (5, 300000, 10)], {}), (MAP, {"net.nosuch": "1"})],
    ids=["overlapping map", "unknown sysctl"],
)
async def test_a_failed_user_namespace_leaves_nothing(
    pins: dict[str, str], uids: list[tuple[int, int, int]], sysctls: dict[str, str]
) -> None:
    with pytest.raises(Internal):
        await pin_user_namespaces(pins, uids, MAP, sysctls=sysctls)
    assert not any(os.path.exists(path) for path in pins.values())


async def test_a_cancelled_user_namespace_leaves_nothing(pins: dict[str, str]) -> None:
    task = asyncio.ensure_future(pin_user_namespaces(pins, MAP, MAP))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(os.path.exists(path) for path in pins.values())


def test_work_inside_a_network_namespace(pins: dict[str, str]) -> None:
    pin_namespaces(only(pins, "net"))
    assert in_netns(pins["net"], lambda: os.listdir("/proc/thread-self/net/dev_snmp6")) != []
    names = in_netns(pins["net"], lambda: [name for _, name in socket.if_nameindex()])
    assert "lo" in names
    assert len(names) < len(socket.if_nameindex()) or set(names) != {n for _, n in socket.if_nameindex()}
    with pytest.raises(ZeroDivisionError):
        in_netns(pins["net"], lambda: 1 // 0)
    with pytest.raises(Internal, match="nosuch"):
        in_netns(f"{pins['net']}-nosuch", lambda: None)
    with pytest.raises(Internal, match="network namespace"):
        in_netns("/etc/hostname", lambda: None)


def test_sysctls_may_be_spelled_with_slashes(pins: dict[str, str]) -> None:
    pin_namespaces(only(pins, "net"), sysctls={"net/ipv4/conf/all/forwarding": "1"})
    assert inside(only(pins, "net"), "cat", "/proc/sys/net/ipv4/conf/all/forwarding") == "1"
    with pytest.raises(InvalidArgument, match=r"kernel\.nosuch"):
        write_sysctls({"kernel.nosuch": "1"})
