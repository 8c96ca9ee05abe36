"""Requests that are refused before anything is made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from cricket.config.model import Config, Handler
from cricket.errors import InvalidArgument
from cricket.lifecycle import handlers, sandbox_check, sandbox_files
from cricket.lifecycle.parts import Parts
from cricket.oci.inputs import RuntimeFeatures
from cricket.oci.runtime import Runtime
from cricket.types.node import CgroupDriver
from cricket.types.sandbox import Dns, SandboxConfig, SandboxMetadata

_PARTS = cast(Parts, SimpleNamespace(config=Config(), handlers=SimpleNamespace(cgroup_driver=CgroupDriver.CGROUPFS)))
_HANDLER = handlers.Handler("crun", Runtime("crun", "crun", "/nosuch"), RuntimeFeatures("crun"), Handler())


def _config(**changes: Any) -> SandboxConfig:
    return msgspec.structs.replace(SandboxConfig(SandboxMetadata("web", "uid", "default")), **changes)


def _shm(size: str) -> dict[str, Any]:
    return {"annotations": {sandbox_check.SHM_ANNOTATION: size}}


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "ü" * 40},
        {"hostname": "a\n1.2.3.4 evil"},
        {"hostname": "x" * 65},
        {"log_directory": "relative"},
        {"cgroup_parent": "/a\nb"},
        {"cgroup_parent": "/../x"},
        {"dns": Dns(servers=("1.1.1.1\nnameserver 6.6.6.6",))},
        {"dns": Dns(options=("ndots:5 x",))},
        _shm("²"),
        _shm("9" * 5000),
        _shm("999999999999999999Gi"),
        _shm("4095"),
        _shm("-1"),
        _shm(""),
        _shm("64kk"),
    ],
)
def test_hostile_values_are_invalid(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        sandbox_check.check(_PARTS, _config(**changes), _HANDLER)


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("64Mi", 64 << 20), ("1g", 10**9), ("100KI", 100 << 10), ("5000", 5000)]
)
def test_sizes_of_shared_memory(text: str, size: int) -> None:
    assert sandbox_check.shm_size(_config(**_shm(text))) == size


@pytest.mark.parametrize("name", ["../../etc", "пёс" * 40, "a b\n", "x" * 1000])
def test_a_pod_without_a_hostname_gets_one_that_is_allowed(name: str) -> None:
    config = _config(metadata=SandboxMetadata(name, "uid", "default"))
    sandbox_check.check(_PARTS, config, _HANDLER)
    hostname = sandbox_files.hostname_of(config)
    assert 0 < len(hostname) < 64 and hostname.isascii() and "/" not in hostname
