"""Every RPC once, over a real socket."""

from __future__ import annotations

import json
from typing import Any

from cricket._proto.cri import api_pb2 as pb
from cricket._proto.cricket import side_pb2
from cricket.cri.fake import BUSYBOX, FakeEngine
from cricket.types.container import ContainerState
from cricket.types.sandbox import SandboxState

MIB = 1 << 20


async def test_version_and_node(client: Any, engine: FakeEngine) -> None:
    version = await client.call("Version")
    assert all((version.version, version.runtime_name, version.runtime_version, version.runtime_api_version))
    status = await client.call("Status", pb.StatusRequest(verbose=True))
    assert {c.type: c.status for c in status.status.conditions} == {"RuntimeReady": True, "NetworkReady": True}
    assert [h.name for h in status.runtime_handlers] == ["", "crun"]
    assert status.runtime_handlers[0].features.user_namespaces
    assert status.features.supplemental_groups_policy
    assert json.loads(status.info["config"]) == {}
    assert not (await client.call("Status")).info
    config = await client.call("RuntimeConfig")
    assert config.HasField("linux") and config.linux.cgroup_driver == pb.SYSTEMD
    network = pb.NetworkConfig(pod_cidr="10.1.0.0/24")
    request = pb.UpdateRuntimeConfigRequest(runtime_config=pb.RuntimeConfig(network_config=network))
    await client.call("UpdateRuntimeConfig", request)
    assert engine.node.pod_cidr == "10.1.0.0/24"
    await client.call("UpdateRuntimeConfig")
    assert engine.node.pod_cidr == "10.1.0.0/24"


async def test_sandbox_life(client: Any, engine: FakeEngine) -> None:
    labels, annotations = {"app": "web"}, {"k": "v"}
    security = pb.LinuxSandboxSecurityContext(namespace_options=pb.NamespaceOption(pid=pb.CONTAINER))
    linux = pb.LinuxPodSandboxConfig(security_context=security)
    box = await client.sandbox(labels=labels, annotations=annotations, linux=linux)
    assert await client.sandbox() == box
    status = (await client.call("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=box[:12]))).status
    assert status.id == box and status.state == pb.SANDBOX_READY and status.created_at > 0
    assert status.network.ip == "10.88.0.2"
    assert status.linux.namespaces.options.pid == pb.CONTAINER
    assert dict(status.labels) == labels and dict(status.annotations) == annotations
    assert status.metadata.name == "pod" and status.metadata.uid == "uid-pod"
    listed = (await client.call("ListPodSandbox")).items
    assert [i.id for i in listed] == [box]
    update = pb.UpdatePodSandboxResourcesRequest(
        pod_sandbox_id=box, resources=pb.LinuxContainerResources(memory_limit_in_bytes=64 * MIB)
    )
    await client.call("UpdatePodSandboxResources", update)
    record = engine.sandboxes.records[box]
    assert record.resources is not None and record.resources.memory_limit == 64 * MIB and record.overhead is None
    for _ in range(2):
        await client.call("StopPodSandbox", pb.StopPodSandboxRequest(pod_sandbox_id=box))
    stopped = (await client.call("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=box))).status
    assert stopped.state == pb.SANDBOX_NOTREADY
    for _ in range(2):
        await client.call("RemovePodSandbox", pb.RemovePodSandboxRequest(pod_sandbox_id=box))
    assert not (await client.call("ListPodSandbox")).items
    code, _ = await client.refused("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=box))
    assert code == "NOT_FOUND"


async def test_container_life(client: Any, engine: FakeEngine) -> None:
    box = await client.sandbox(log_directory="/var/log/pods/x")
    mount = pb.Mount(container_path="/data", host_path="/srv", readonly=True)
    container = await client.container(
        box, start=False, labels={"a": "b"}, log_path="c/0.log", mounts=[mount], stop_signal=pb.SIGNAL_SIGUSR1
    )
    request = pb.ContainerStatusRequest(container_id=container)
    created = (await client.call("ContainerStatus", request)).status
    assert created.state == pb.CONTAINER_CREATED and created.started_at == 0 and created.created_at > 0
    await client.call("StartContainer", pb.StartContainerRequest(container_id=container))
    answer = await client.call("ContainerStatus", pb.ContainerStatusRequest(container_id=container[:10], verbose=True))
    assert json.loads(answer.info["info"]) == {"pid": 1}
    status = answer.status
    assert status.state == pb.CONTAINER_RUNNING and status.started_at > 0
    assert status.image.image == "busybox" and status.image_id == BUSYBOX.id and status.image_ref == BUSYBOX.digests[0]
    assert status.log_path == "/var/log/pods/x/c/0.log"
    assert status.mounts[0].container_path == "/data" and status.mounts[0].readonly
    assert status.stop_signal == pb.SIGNAL_SIGTERM
    item = (await client.call("ListContainers")).containers[0]
    assert item.image_id == BUSYBOX.id and item.pod_sandbox_id == box and dict(item.labels) == {"a": "b"}
    update = pb.UpdateContainerResourcesRequest(
        container_id=container, linux=pb.LinuxContainerResources(cpu_shares=512, unified={"memory.low": "1"})
    )
    await client.call("UpdateContainerResources", update)
    status = (await client.call("ContainerStatus", request)).status
    assert status.resources.linux.cpu_shares == 512 and status.resources.linux.unified["memory.low"] == "1"
    await client.call("ReopenContainerLog", pb.ReopenContainerLogRequest(container_id=container))
    assert engine.containers.logs_reopened == [container]
    checkpoint = pb.CheckpointContainerRequest(container_id=container, location="/tmp/x.tar")
    await client.call("CheckpointContainer", checkpoint)
    assert engine.containers.checkpoints == [(container, "/tmp/x.tar")]
    for _ in range(2):
        await client.call("StopContainer", pb.StopContainerRequest(container_id=container, timeout=10))
    status = (await client.call("ContainerStatus", request)).status
    assert status.state == pb.CONTAINER_EXITED and status.exit_code == 137 and status.finished_at > 0
    for _ in range(2):
        await client.call("RemoveContainer", pb.RemoveContainerRequest(container_id=container))
    assert (await client.refused("ContainerStatus", request))[0] == "NOT_FOUND"


async def test_status_of_a_sandbox_has_its_containers(client: Any) -> None:
    box, other = await client.sandbox("a"), await client.sandbox("b")
    mine, _ = await client.container(box), await client.container(other)
    answer = await client.call("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=box, verbose=True))
    assert [c.id for c in answer.containers_statuses] == [mine]
    assert answer.timestamp > 0 and json.loads(answer.info["info"]) == {"pid": 1}


async def test_exec_and_urls(client: Any) -> None:
    box = await client.sandbox()
    container = await client.container(box)
    answer = await client.call("ExecSync", pb.ExecSyncRequest(container_id=container, cmd=["exit", "3"], timeout=5))
    assert answer.exit_code == 3 and answer.stdout == b"exit 3"
    run = pb.ExecRequest(container_id=container[:9], cmd=["sh"], stdout=True)
    assert (await client.call("Exec", run)).url.endswith(f"/exec/{container}")
    attach = pb.AttachRequest(container_id=container, stdout=True)
    assert (await client.call("Attach", attach)).url.endswith(container)
    forward = pb.PortForwardRequest(pod_sandbox_id=box[:9], port=[80])
    assert (await client.call("PortForward", forward)).url.endswith(box)


async def test_images(client: Any, engine: FakeEngine) -> None:
    reference = "registry.example/app:1"
    auth = pb.AuthConfig(username="me", password="pw")
    pull = pb.PullImageRequest(image=pb.ImageSpec(image=reference), auth=auth)
    image_id = (await client.call("PullImage", pull)).image_ref
    assert engine.images.auths[0] is not None and engine.images.auths[0].password == "pw"
    await client.call("PullImage", pb.PullImageRequest(image=pb.ImageSpec(image=reference), auth=pb.AuthConfig()))
    assert engine.images.auths[1] is None
    assert {i.id for i in (await client.call("ListImages")).images} == {BUSYBOX.id, image_id}
    only = pb.ListImagesRequest(filter=pb.ImageFilter(image=pb.ImageSpec(image=reference)))
    assert [i.id for i in (await client.call("ListImages", only)).images] == [image_id]
    status = pb.ImageStatusRequest(image=pb.ImageSpec(image="busybox"), verbose=True)
    answer = await client.call("ImageStatus", status)
    assert answer.image.uid.value == 1000 and answer.image.username == "" and answer.image.size > 0
    assert json.loads(answer.info["info"])["imageSpec"]["config"]["Cmd"] == ["sh"]
    remove = pb.RemoveImageRequest(image=pb.ImageSpec(image=reference))
    for _ in range(2):
        await client.call("RemoveImage", remove)
    missing = await client.call("ImageStatus", pb.ImageStatusRequest(image=pb.ImageSpec(image=reference)))
    assert not missing.HasField("image")
    info = await client.call("ImageFsInfo")
    assert info.image_filesystems[0].fs_id.mountpoint == "/var/lib/cricket"
    assert info.container_filesystems[0].used_bytes.value == 4096
    batches = await client.call("StreamImages")
    assert [i.id for b in batches for i in b.images] == [BUSYBOX.id]
    handler = pb.PullImageRequest(image=pb.ImageSpec(image=reference, runtime_handler="nope"))
    assert (await client.refused("PullImage", handler))[0] == "INVALID_ARGUMENT"


async def test_stats(client: Any) -> None:
    box = await client.sandbox(labels={"app": "web"})
    idle = await client.sandbox("idle")
    container = await client.container(box)
    resting = await client.container(box, "resting", start=False)
    one = (await client.call("ContainerStats", pb.ContainerStatsRequest(container_id=container))).stats
    assert one.attributes.id == container and one.memory.working_set_bytes.value == 40_000_000
    assert one.cpu.usage_nano_cores.value == 250_000_000 and one.swap.swap_usage_bytes.value == 8000
    assert one.cpu.psi.Some.Total == 2_000_000 and one.writable_layer.inodes_used.value == 21
    still = (await client.call("ContainerStats", pb.ContainerStatsRequest(container_id=resting))).stats
    assert still.attributes.id == resting and not still.HasField("cpu")
    listed = await client.call("ListContainerStats")
    assert [s.attributes.id for s in listed.stats] == [container]
    [batch] = await client.call("StreamContainerStats")
    assert [s.attributes.id for s in batch.container_stats] == [container]
    pod = (await client.call("PodSandboxStats", pb.PodSandboxStatsRequest(pod_sandbox_id=box))).stats
    assert pod.linux.network.default_interface.name == "eth0"
    assert [i.name for i in pod.linux.network.interfaces] == ["net1"]
    assert pod.linux.process.process_count.value == 3
    assert [c.attributes.id for c in pod.linux.containers] == [container]
    wanted = pb.PodSandboxStatsFilter(label_selector={"app": "web"})
    listed = await client.call("ListPodSandboxStats", pb.ListPodSandboxStatsRequest(filter=wanted))
    assert [s.attributes.id for s in listed.stats] == [box]
    [batch] = await client.call("StreamPodSandboxStats")
    assert {s.attributes.id for s in batch.pod_sandbox_stats} == {box, idle}
    gone = pb.ListContainerStatsRequest(filter=pb.ContainerStatsFilter(id="nothing"))
    assert not (await client.call("ListContainerStats", gone)).stats
    assert (await client.refused("ContainerStats", pb.ContainerStatsRequest(container_id="nope")))[0] == "NOT_FOUND"


async def test_checkpoints_of_pods_are_unimplemented(client: Any) -> None:
    for name in ("CheckpointPod", "RestorePod"):
        assert (await client.refused(name))[0] == "UNIMPLEMENTED"


async def test_side(client: Any) -> None:
    info = await client.call("Info")
    assert info.version and info.pid and info.started_at
    assert not (await client.call("Why")).operations
    for name in ("Reload", "CheckImages"):
        assert (await client.refused(name))[0] == "UNIMPLEMENTED"
    pull = side_pb2.PullProgressRequest(reference="x")
    assert (await client.refused("PullProgress", pull))[0] == "UNIMPLEMENTED"


async def test_what_is_being_made_is_not_there_yet(client: Any, engine: FakeEngine) -> None:
    import msgspec

    box = await client.sandbox()
    container = await client.container(box)
    making = msgspec.structs.replace(engine.containers.records[container], state=ContainerState.CREATING)
    engine.containers.records[container] = making
    assert not (await client.call("ListContainers")).containers
    assert (await client.refused("ContainerStatus", pb.ContainerStatusRequest(container_id=container)))[
        0
    ] == "NOT_FOUND"
    record = engine.sandboxes.records[box]
    engine.sandboxes.records[box] = msgspec.structs.replace(record, state=SandboxState.CREATING)
    assert not (await client.call("ListPodSandbox")).items
    assert (await client.refused("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=box)))[0] == "NOT_FOUND"
