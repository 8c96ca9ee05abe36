"""Checklist 1 to 7: status and version."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from conformance_kit import FOREVER, SYSTEMD, ConformanceNode, refused, slice_path
from harness.node import CONTAINER, NODE, until
from harness.registry import Registry

from cricket._proto.cri import api_pb2 as pb

pytestmark = pytest.mark.root


def test_01_version_has_all_four_fields(node: ConformanceNode) -> None:
    version = node.cri.call("Version", version="0.1.0")
    assert all((version.version, version.runtime_name, version.runtime_version, version.runtime_api_version))
    assert version.runtime_api_version == "v1"


def test_02_image_fs_info_answers_at_once_with_a_real_path_first(node: ConformanceNode) -> None:
    # The kubelet asks this before anything else: right after a start it must be there.
    node.restart()
    first = node.cri.call("ImageFsInfo", within=2.0).image_filesystems[0]
    assert os.path.isdir(first.fs_id.mountpoint)
    assert first.timestamp > 0 and first.used_bytes.value > 0 and first.inodes_used.value > 0


def test_03_status_has_the_two_conditions(node: ConformanceNode) -> None:
    conditions = {c.type: c.status for c in node.cri.call("Status").status.conditions}
    assert conditions["RuntimeReady"] and conditions["NetworkReady"]


def test_03_verbose_status_holds_json(node: ConformanceNode) -> None:
    assert not node.cri.call("Status").info
    info = node.cri.call("Status", verbose=True).info
    assert info and all(isinstance(json.loads(text), dict) for text in info.values())


def test_03_without_network_only_host_network_pods_start(node: ConformanceNode) -> None:
    conflist = node.network.write()
    conflist.unlink()
    try:
        until(lambda: not _network_ready(node), "the network stays ready without a conflist")
        reason = next(c for c in node.cri.call("Status").status.conditions if c.type == "NetworkReady")
        assert reason.reason and reason.message
        with refused("UNAVAILABLE"):
            node.run_pod()
        pod = node.run_pod(node.security_pod(namespace_options={"network": NODE}))
        assert node.pod_status(pod).state == pb.SANDBOX_READY
    finally:
        node.network.write()
    until(lambda: _network_ready(node), "the network is not ready again")
    assert node.pod_status(node.run_pod()).network.ip


def _network_ready(node: ConformanceNode) -> bool:
    return any(c.type == "NetworkReady" and c.status for c in node.cri.call("Status").status.conditions)


def test_04_status_has_the_default_handler_and_features(node: ConformanceNode) -> None:
    status = node.cri.call("Status")
    handlers = {h.name: h.features for h in status.runtime_handlers}
    assert "" in handlers and len(handlers) == len(status.runtime_handlers)
    default = json.loads(node.cri.call("Status", verbose=True).info["info"])["defaultHandler"]
    assert handlers[""] == handlers[default]
    assert status.features.supplemental_groups_policy


def test_04_unknown_handler_is_refused(node: ConformanceNode) -> None:
    with refused("INVALID_ARGUMENT", "NOT_FOUND") as errors:
        node.run_pod(handler="nosuch")
    assert "nosuch" in errors[0].text
    assert not node.cri.call("ListPodSandbox").items


def test_05_runtime_config_tells_the_cgroup_driver(node: ConformanceNode) -> None:
    answer = node.cri.call("RuntimeConfig")
    assert answer.HasField("linux")
    assert answer.linux.cgroup_driver == (pb.SYSTEMD if SYSTEMD else pb.CGROUPFS)


@pytest.mark.skipif(not SYSTEMD, reason="systemd does not run here")
def test_06_systemd_takes_the_last_slice_of_the_path(node: ConformanceNode, image: str, handler: str) -> None:
    config = node.pod()
    container = node.run(node.run_pod(config, handler), node.container(image, *FOREVER), config)
    parent = config["linux"]["cgroup_parent"].rsplit("/", 1)[-1]
    paths = {line.split(":", 2)[2] for line in Path(f"/proc/{node.pid(container)}/cgroup").read_text().splitlines()}
    expected = f"{slice_path(parent.removesuffix('.slice'))}/cri-cricket-{container}.scope"
    # crun gives the processes a cgroup of their own below the scope.
    assert any(path == expected or path.startswith(f"{expected}/") for path in paths), paths
    assert node.info(container)["runtimeSpec"]["linux"]["cgroupsPath"] == f"{parent}:cri-cricket:{container}"


def test_06_systemd_cgroups_path_is_slice_prefix_id(tmp_path: Path, registry: Registry, image: str) -> None:
    """The form, on hosts without systemd too: nothing is started here, and the handler does not ask systemd."""
    wrapper = tmp_path / "runtime"
    wrapper.write_text('#!/bin/bash\nexec runc "${@/--systemd-cgroup/--log-format=json}"\n')
    wrapper.chmod(0o755)
    config: dict[str, Any] = {
        "cgroup_driver": "systemd",
        "default_handler": "test",
        "handlers": {"test": {"path": str(wrapper)}},
    }
    with ConformanceNode.made(tmp_path, registry=registry, **config) as node:
        assert node.cri.call("RuntimeConfig").linux.cgroup_driver == pb.SYSTEMD
        node.pull(image)
        linux = {
            "cgroup_parent": "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice",
            "security_context": {"namespace_options": {"pid": CONTAINER}},
        }
        container = node.create(node.run_pod(node.pod(linux=linux)), node.container(image, *FOREVER))
        spec = node.info(container)["runtimeSpec"]
        assert spec["linux"]["cgroupsPath"] == f"kubepods-burstable-pod1.slice:cri-cricket:{container}"
        with refused("INVALID_ARGUMENT"):
            node.run_pod(node.pod(linux={**linux, "cgroup_parent": "/kubepods/burstable"}))
        node.remove_pods()
        node.assert_clean()


def test_07_unsupported_rpcs_answer_unimplemented(node: ConformanceNode) -> None:
    calls: dict[str, Any] = {"CheckpointPod": {"pod_sandbox_id": "x"}, "RestorePod": {"checkpoint_path": "/x"}}
    for method, fields in calls.items():
        with refused("UNIMPLEMENTED"):
            node.cri.call(method, **fields)
    unknown = node.cri.channel.unary_unary("/runtime.v1.RuntimeService/NoSuchMethod")
    with pytest.raises(grpc.RpcError) as error:
        unknown(b"", timeout=5)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
