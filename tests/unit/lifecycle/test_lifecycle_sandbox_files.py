"""hostname, hosts and resolv.conf of a sandbox."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from cricket.lifecycle.layout import Layout
from cricket.lifecycle.sandbox_files import hostname, hosts, resolv_conf, shm_source, write_files
from cricket.types.sandbox import Dns, Sandbox, SandboxConfig, SandboxMetadata, SandboxSecurity, SandboxState
from cricket.types.security import NamespaceMode, NamespaceOptions


def box(name: str = "pod", *, network: NamespaceMode = NamespaceMode.POD, **config: object) -> Sandbox:
    options = NamespaceOptions(network=network, ipc=network)
    metadata = SandboxMetadata(name=name, uid="u", namespace="n")
    made = SandboxConfig(metadata=metadata, security=SandboxSecurity(namespaces=options), **config)  # type: ignore[arg-type]  # tests
    return Sandbox("id", made, "", SandboxState.CREATING, 1, "boot")


@pytest.mark.parametrize(
    ("sandbox", "name"),
    [
        (box(hostname="asked"), "asked"),
        (box("pod-name"), "pod-name"),
        (box("n" * 80), "n" * 63),
        (box(network=NamespaceMode.NODE), socket.gethostname()),
        (box(network=NamespaceMode.NODE, hostname="asked"), "asked"),
    ],
)
def test_hostnames(sandbox: Sandbox, name: str) -> None:
    assert hostname(sandbox) == name


def test_hosts_names_every_address_of_the_pod() -> None:
    sandbox = msgspec.structs.replace(box(hostname="h"), ips=("10.0.0.5", "fd00::5"))
    lines = hosts(sandbox).splitlines()
    assert "127.0.0.1\tlocalhost" in lines
    assert lines[-2:] == ["10.0.0.5\th", "fd00::5\th"]


def test_a_pod_in_the_hosts_network_gets_the_hosts_file() -> None:
    assert hosts(box(network=NamespaceMode.NODE)) == Path("/etc/hosts").read_text()


@pytest.mark.parametrize(
    ("dns", "text"),
    [
        (Dns(servers=("10.96.0.10", "fd00::a")), "nameserver 10.96.0.10\nnameserver fd00::a\n"),
        (Dns(searches=("a.b", "c")), "search a.b c\n"),
        (
            Dns(servers=("1.1.1.1",), searches=("x",), options=("ndots:5", "edns0")),
            "search x\nnameserver 1.1.1.1\noptions ndots:5 edns0\n",
        ),
    ],
)
def test_resolv_conf_as_asked_for(dns: Dns, text: str) -> None:
    assert resolv_conf(dns) == text


def test_without_any_dns_the_hosts_resolv_conf() -> None:
    own = Path("/etc/resolv.conf").read_text(errors="replace") if Path("/etc/resolv.conf").exists() else ""
    assert resolv_conf(None) == resolv_conf(Dns()) == own


def test_files_are_written_anew(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "root"), str(tmp_path))
    sandbox = box(hostname="h", dns=Dns(servers=("1.1.1.1",)))
    Path(layout.sandbox("id")).mkdir(parents=True)
    write_files(layout, sandbox)
    write_files(layout, msgspec.structs.replace(sandbox, ips=("10.0.0.5",)))
    assert Path(layout.sandbox_file("id", "hostname")).read_text() == "h\n"
    assert Path(layout.sandbox_file("id", "resolv.conf")).read_text() == "nameserver 1.1.1.1\n"
    assert Path(layout.sandbox_file("id", "hosts")).read_text().endswith("10.0.0.5\th\n")


def test_shared_memory_is_the_pods_or_the_hosts(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "root"), str(tmp_path))
    assert shm_source(layout, box(network=NamespaceMode.NODE)) == "/dev/shm"
    Path(layout.sandbox_file("id", "shm")).mkdir(parents=True)
    assert shm_source(layout, box()) == layout.sandbox_file("id", "shm")
