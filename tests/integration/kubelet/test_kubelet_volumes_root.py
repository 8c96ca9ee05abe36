"""Volumes with real mounts: what containers get, what updates change, what is left."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from cricket._proto.cri import api_pb2 as pb
from cricket.errors import Internal
from cricket.kubelet.cri_config import Launch, container_config, sandbox_config
from cricket.kubelet.failure import CreateContainerConfigError, FailedMount
from cricket.kubelet.manifest.desired import objects_of
from cricket.kubelet.manifest.load import load
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node
from cricket.kubelet.volumes import mounting
from cricket.kubelet.volumes.materialize import cleanup, materialize

pytestmark = pytest.mark.root

WEB = """
    apiVersion: v1
    kind: Pod
    metadata: {name: web, uid: u1}
    spec:
      securityContext: {fsGroup: 2000}
      volumes:
        - {name: disk, emptyDir: {}}
        - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
        - {name: config, configMap: {name: config}}
        - {name: secret, secret: {secretName: secret, defaultMode: 0400}}
        - {name: claim, persistentVolumeClaim: {claimName: claim}}
        - {name: image, image: {reference: "tools:1"}}
      containers:
        - name: main
          image: busybox:1
          command: [sh, -c, "$(A)"]
          env: [{name: A, value: x}]
          volumeMounts:
            - {name: disk, mountPath: /disk, subPathExpr: "logs/$(A)"}
            - {name: config, mountPath: /etc/a.conf, subPath: a}
            - {name: memory, mountPath: memory, readOnly: true}
            - {name: image, mountPath: /tools, subPath: bin}
    ---
    {apiVersion: v1, kind: ConfigMap, metadata: {name: config}, data: {a: "1"}}
    ---
    {apiVersion: v1, kind: Secret, metadata: {name: secret}, stringData: {a: "2"}}
    ---
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: claim}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    yield Node("node", root=str(tmp_path / "root"), log_root=str(tmp_path / "logs"), host_ips=("192.0.2.1",))
    assert mounting.mount_points(str(tmp_path)) == []


def read(text: str) -> tuple[Pod, Objects]:
    found = load(textwrap.dedent(text).encode(), "test", "node")
    assert not found.errors
    return found.pods[0], objects_of([found])


async def test_all_of_them(node: Node) -> None:
    pod, objects = read(WEB)
    volumes = await materialize(pod, objects, node)
    assert await materialize(pod, objects, node) == volumes
    disk, memory = (Path(volumes[name].path) for name in ("disk", "memory"))
    assert (disk.stat().st_mode & 0o7777, disk.stat().st_gid) == (0o2777, 2000)
    assert os.statvfs(memory).f_blocks * os.statvfs(memory).f_frsize == 1 << 20
    secret = Path(volumes["secret"].path)
    assert (secret / "a").read_text() == "2"
    assert ((secret / "a").stat().st_mode & 0o777, (secret / "a").stat().st_gid) == (0o440, 2000)
    assert secret.is_mount()
    assert volumes["config"].read_only and volumes["image"].image == "tools:1"
    (Path(volumes["claim"].path) / "kept").write_text("")
    await cleanup("u1", node.root)
    await cleanup("u1", node.root)
    assert os.listdir(f"{node.root}/pods") == []
    assert os.listdir(f"{node.root}/claims/default/claim") == ["kept"]


async def test_changed_objects_are_seen(node: Node) -> None:
    pod, objects = read(WEB)
    path = Path((await materialize(pod, objects, node))["config"].path)
    config = objects.config_maps["default/config"]
    changed = replace(objects, config_maps={"default/config": replace(config, data={"b": "2"})})
    await materialize(pod, changed, node)
    assert not (path / "a").exists()
    assert (path / "b").read_text() == "2"
    await cleanup("u1", node.root)


async def test_container_config(node: Node) -> None:
    pod, objects = read(WEB)
    volumes = await materialize(pod, objects, node)
    launch = Launch(pod, node, objects, volumes, ("10.0.0.5",), {"image": "sha256:tools"})
    (container,) = pod.spec.containers
    for attempt in (0, 1):
        config = await container_config(launch, container, pb.Image(id="i"), "sha256:busybox", attempt)
    mounts = {mount.container_path: mount for mount in config.mounts}
    assert set(mounts) == {"/disk", "/etc/a.conf", "/memory", "/tools", "/etc/hosts", "/dev/termination-log"}
    assert os.path.samefile(mounts["/disk"].host_path, f"{volumes['disk'].path}/logs/x")
    assert Path(mounts["/etc/a.conf"].host_path).read_text() == "1"
    assert mounts["/etc/a.conf"].readonly and mounts["/memory"].readonly and not mounts["/disk"].readonly
    assert (mounts["/tools"].image.image, mounts["/tools"].image_sub_path) == ("sha256:tools", "bin")
    assert not mounts["/tools"].host_path
    assert "10.0.0.5\tweb" in Path(mounts["/etc/hosts"].host_path).read_text()
    assert list(config.command) == ["sh", "-c", "x"]
    assert config.log_path == "main/1.log"
    assert Path(node.log_root, "default_web_u1", "main").is_dir()
    assert config.annotations["io.kubernetes.container.restartCount"] == "1"
    assert config.labels["io.kubernetes.pod.uid"] == "u1"
    sandbox = await sandbox_config(pod, node, 3)
    assert (sandbox.hostname, sandbox.metadata.attempt) == ("web", 3)
    assert sandbox.log_directory == f"{node.log_root}/default_web_u1"
    await cleanup("u1", node.root)


async def test_a_sub_path_that_leads_out(node: Node) -> None:
    pod, objects = read(WEB)
    volumes = await materialize(pod, objects, node)
    Path(volumes["disk"].path, "logs").symlink_to("/etc")
    with pytest.raises(CreateContainerConfigError, match="leads out"):
        launch = Launch(pod, node, objects, volumes, ())
        await container_config(launch, pod.spec.containers[0], pb.Image(), "i", 0)
    await cleanup("u1", node.root)
    assert not Path("/etc/x").exists()


async def test_what_is_missing_is_told_at_once(node: Node) -> None:
    pod, _ = read(WEB)
    with pytest.raises(FailedMount) as error:
        await materialize(pod, Objects(), node)
    assert str(error.value) == (
        'MountVolume.SetUp failed for volume "config" : configmap "config" not found; '
        'MountVolume.SetUp failed for volume "secret" : secret "secret" not found; '
        'MountVolume.SetUp failed for volume "claim" : persistentvolumeclaim "claim" not found'
    )
    await cleanup("u1", node.root)


async def test_files_behind_a_mount_survive_a_cleanup(node: Node, tmp_path: Path) -> None:
    """Sub-paths of a claim are bind mounts in the pod's directory: they are unmounted, never emptied."""
    pod, objects = read(
        WEB.replace(
            '- {name: disk, mountPath: /disk, subPathExpr: "logs/$(A)"}', "- {name: claim, mountPath: /c, subPath: s}"
        )
    )
    launch = Launch(pod, node, objects, await materialize(pod, objects, node), ())
    config = await container_config(launch, pod.spec.containers[0], pb.Image(), "i", 0)
    Path(config.mounts[0].host_path, "file").write_text("kept")
    with open(config.mounts[0].host_path + "/file") as busy:
        await cleanup("u1", node.root)
        assert busy.read() == "kept"
    assert Path(node.root, "claims/default/claim/s/file").read_text() == "kept"


async def test_a_claim_of_another_directory(node: Node, tmp_path: Path) -> None:
    text = WEB.replace(
        "metadata: {name: claim}", f"metadata: {{name: claim, annotations: {{cricket/host-path: {tmp_path}/x}}}}"
    )
    pod, objects = read(text)
    assert (await materialize(pod, objects, node))["claim"].path == f"{tmp_path}/x"
    await cleanup("u1", node.root)
    assert (tmp_path / "x").is_dir()


async def test_mount_tells_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(Internal, match="mount failed: "):
        await mounting.mount("-t", "nosuchfs", "none", str(tmp_path), where=str(tmp_path))
    await mounting.unmount(str(tmp_path / "nothing"))
