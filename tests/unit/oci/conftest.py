"""Inputs of an ordinary container, to be changed by each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings, RuntimeFeatures, SandboxFiles, SpecInputs
from cricket.types.container import ContainerConfig, ContainerMetadata, UserIds
from cricket.types.image import ImageConfig
from cricket.types.sandbox import Sandbox, SandboxConfig, SandboxMetadata, SandboxState
from cricket.types.security import ContainerSecurity, NamespaceMode, NamespaceOptions, SandboxSecurity

MakeInputs = Callable[..., SpecInputs]
FEATURES = RuntimeFeatures(name="crun", version="1", recursive_read_only=True, idmap_mounts=True, seccomp=True)


@pytest.fixture
def make_inputs() -> MakeInputs:
    """make_inputs(config={...}, security={...}, sandbox={...}, **fields of SpecInputs)."""

    def make(
        config: dict[str, Any] | None = None,
        security: dict[str, Any] | None = None,
        sandbox: dict[str, Any] | None = None,
        **changes: Any,
    ) -> SpecInputs:
        options = NamespaceOptions(pid=NamespaceMode.CONTAINER)
        container_security = ContainerSecurity(**{"namespaces": options, **(security or {})})
        pod_security = SandboxSecurity(
            privileged=container_security.privileged, namespaces=container_security.namespaces
        )
        pod = SandboxConfig(
            **{
                "metadata": SandboxMetadata("pod", "uid-1", "default"),
                "hostname": "podhost",
                "cgroup_parent": "/kubepods/podx",
                "security": pod_security,
                **(sandbox or {}),
            }
        )
        container = ContainerConfig(
            **{
                "metadata": ContainerMetadata("main"),
                "command": ("sleep", "1"),
                "security": container_security,
                **(config or {}),
            }
        )
        base = SpecInputs(
            id="c1",
            sandbox=Sandbox(id="s1", config=pod, handler="", state=SandboxState.READY, created_at=1, boot_id="b"),
            config=container,
            image=ImageConfig(),
            rootfs="/run/b/c1/rootfs",
            user=UserIds(groups=(0,)),
            host=HostFacts(
                cgroup_version=2, swap=True, hugepage_sizes=frozenset(["2MB"]), kernel=(6, 1), hostname="node"
            ),
            handler=HandlerSettings(features=FEATURES),
            namespaces={"net": "/pins/net", "ipc": "/pins/ipc", "uts": "/pins/uts"},
            files=SandboxFiles(hosts="/s/hosts", hostname="/s/hostname", resolv_conf="/s/resolv.conf", shm="/s/shm"),
            image_name="busybox",
        )
        return msgspec.structs.replace(base, **changes)

    return make
