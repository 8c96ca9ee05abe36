"""Which paths get the container's SELinux label; on hosts without SELinux none."""

from __future__ import annotations

import pytest

from cricket.lifecycle import container_spec
from cricket.oci.inputs import ResolvedMount, SandboxFiles, SelinuxLabels
from cricket.types.container import VolumeMount

_FILES = SandboxFiles(hosts="/run/hosts", hostname="/run/hostname", resolv_conf="/run/resolv.conf", shm="/run/shm")
_MOUNTS = (
    ResolvedMount(VolumeMount("/a", "/link", selinux_relabel=True), "/real"),
    ResolvedMount(VolumeMount("/b", "/other"), "/other"),
    ResolvedMount(VolumeMount("/c", image="busybox", selinux_relabel=True, readonly=True), "/layer"),
)


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    done: dict[str, str] = {}
    monkeypatch.setattr("cricket.oci.selinux.relabel", done.__setitem__)
    return done


def test_volumes_that_ask_for_it_and_the_pods_own_files(labelled: dict[str, str]) -> None:
    container_spec._relabel(_FILES, _MOUNTS, SelinuxLabels("process", "label"))
    assert set(labelled.values()) == {"label"}
    assert set(labelled) == {"/run/hosts", "/run/hostname", "/run/resolv.conf", "/run/shm", "/real"}


def test_the_hosts_shared_memory_is_left_alone(labelled: dict[str, str]) -> None:
    files = SandboxFiles(hosts="/run/hosts", hostname="/run/hostname", resolv_conf="/run/resolv.conf", shm="/dev/shm")
    container_spec._relabel(files, (), SelinuxLabels("process", "label"))
    assert "/dev/shm" not in labelled


def test_nothing_without_a_label(labelled: dict[str, str]) -> None:
    container_spec._relabel(_FILES, _MOUNTS, SelinuxLabels())
    assert not labelled
