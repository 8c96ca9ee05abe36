"""Manifests from what runtimes tell, with and without their configurations; from what the agent noted."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.generating import facts as found
from cricket.cli.generating.facts import ContainerFacts, PodFacts
from cricket.cli.generating.from_runtime import from_runtime
from cricket.cli.generating.objects import Objects, files
from cricket.cli.generating.remembered import remembered
from cricket.cli.generating.yaml_text import Comments, document
from cricket.errors import FailedPrecondition
from cricket.kubelet.manifest.load import load


def container(name: str, **fields: Any) -> ContainerFacts:
    security = fields.pop("security", {})
    resources = fields.pop("resources", {})
    status = pb.ContainerStatus(
        metadata={"name": name}, state=fields.pop("state", pb.CONTAINER_RUNNING), image={"image": "busybox:1"},
        started_at=fields.pop("started_at", 10), finished_at=fields.pop("finished_at", 0),
        annotations=fields.pop("annotations", {}), resources={"linux": fields.pop("now", resources)},
    )  # fmt: skip
    linux = {"security_context": {"masked_paths": ["/proc/kcore"], **security}, "resources": resources}
    config = pb.ContainerConfig(metadata={"name": name}, image={"image": "busybox:1"}, linux=linux, **fields)
    return ContainerFacts(status, config, {}, pb.Image(uid={"value": 0}), {})


def pod(*containers: ContainerFacts, options: dict[str, Any] | None = None, **config: Any) -> PodFacts:
    namespaces = {"pid": pb.CONTAINER, **(options or {})}
    status = pb.PodSandboxStatus(
        metadata={"name": "shop", "namespace": "default", "uid": "u"},
        linux={"namespaces": {"options": namespaces}},
        annotations=config.pop("noted", {}),
        labels={"app": "shop", "io.kubernetes.pod.name": "shop"},
    )
    made = pb.PodSandboxConfig(metadata={"name": "shop"}, hostname="shop", dns_config={}, **config)
    return PodFacts(status, made, containers)


def written(facts: PodFacts) -> tuple[dict[str, Any], str]:
    """The manifest, which our own loader takes, and its text."""
    objects, comments = Objects(), Comments()
    value = from_runtime(facts, objects, comments)
    text = "---\n".join([document(value, comments), *(document(d, Comments()) for d in objects.documents())])
    assert load(text.encode(), "x", "node").errors == ()
    return value, text


def test_little_is_written_of_a_simple_pod() -> None:
    value, text = written(pod(container("web", command=["sleep", "5"])))
    assert value == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "labels": {"app": "shop"}},
        "spec": {
            "containers": [{"name": "web", "image": "busybox:1", "command": ["sleep", "5"]}],
            "dnsPolicy": "Default",
        },
    }
    assert "# Made of what the runtime knows" in text


def test_what_looks_like_a_reference_stays_text() -> None:
    facts = container("web", args=["$(date) $$ $x"], envs=[{"key": "A", "value": b"$(B)"}])
    (made,) = written(pod(facts))[0]["spec"]["containers"]
    assert made["args"] == ["$$(date) $$$$ $x"] and made["env"] == [{"name": "A", "value": "$$(B)"}]


def test_namespaces_network_and_security() -> None:
    security = {
        "run_as_user": {"value": 7},
        "run_as_group": {"value": 8},
        "readonly_rootfs": True,
        "no_new_privs": True,
        "supplemental_groups": [5],
        "capabilities": {"drop_capabilities": ["ALL"]},
        "seccomp": {"profile_type": pb.SecurityProfile.RuntimeDefault},
    }
    facts = pod(
        container("web", security=security),
        options={"ipc": pb.NODE, "pid": pb.POD},
        port_mappings=[{"container_port": 80, "host_port": 80}],
        linux={"sysctls": {"net.ipv4.ip_forward": "1"}},
    )
    spec = written(facts)[0]["spec"]
    assert spec["hostIPC"] and spec["shareProcessNamespace"]
    assert spec["securityContext"] == {
        "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}],
        "supplementalGroups": [5],
    }
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80}]
    assert spec["containers"][0]["securityContext"] == {
        "runAsUser": 7,
        "runAsGroup": 8,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_resources_are_those_in_force() -> None:
    asked = {"cpu_quota": 50_000, "cpu_period": 100_000, "cpu_shares": 256, "memory_limit_in_bytes": 64 << 20}
    now = {**asked, "memory_limit_in_bytes": 96 << 20}
    (made,) = written(pod(container("web", resources=asked, now=now)))[0]["spec"]["containers"]
    assert made["resources"] == {"limits": {"cpu": "500m", "memory": "96Mi"}, "requests": {"cpu": "250m"}}


def test_init_containers_are_guessed_and_said() -> None:
    first = container("first", state=pb.CONTAINER_EXITED, started_at=1, finished_at=5)
    value, text = written(pod(first, container("web")))
    assert [c["name"] for c in value["spec"]["initContainers"]] == ["first"]
    assert "taken for init containers" in text
    failed = container("late", state=pb.CONTAINER_EXITED, started_at=11, finished_at=12)
    assert len(written(pod(container("web"), failed))[0]["spec"]["containers"]) == 2


def test_mounts(tmp_path: Path) -> None:
    directory = tmp_path / "pods/u/volumes/kubernetes.io~secret/keys"
    (directory / "..1").mkdir(parents=True)
    (directory / "..1/token").write_bytes(b"\xff")
    (directory / "..data").symlink_to("..1")
    web = container(
        "web",
        mounts=[
            {"host_path": str(directory), "container_path": "/keys", "readonly": True},
            {"host_path": "/srv/data", "container_path": "/data", "propagation": pb.PROPAGATION_BIDIRECTIONAL},
            {"host_path": "/srv/data", "container_path": "/again"},
            {"host_path": "/var/lib/kubelet/pods/u/etc-hosts", "container_path": "/etc/hosts"},
            {"host_path": "/x", "container_path": "/last"},
        ],
        annotations={"io.kubernetes.container.terminationMessagePath": "/last"},
        security={"privileged": True},
    )
    value, text = written(pod(web))
    assert value["spec"]["volumes"] == [
        {"name": "keys", "secret": {"secretName": "shop-keys"}},
        {"name": "data", "hostPath": {"path": "/srv/data"}},
    ]
    mounts = value["spec"]["containers"][0]["volumeMounts"]
    assert mounts == [
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "data", "mountPath": "/data", "mountPropagation": "Bidirectional"},
        {"name": "data", "mountPath": "/again"},
    ]
    assert f"token: {base64.b64encode(bytes([255])).decode()}" in text


def test_without_a_configuration_the_bundle_tells() -> None:
    full = container("web", mounts=[{"host_path": "/a", "container_path": "/b"}])
    spec = {
        "process": {
            "args": ["sh", "-c", "x"],
            "env": ["PATH=/bin", "A=1", "B=2"],
            "cwd": "/srv",
            "noNewPrivileges": True,
        }
    }
    entry = {"Cmd": ["sh"], "Env": ["PATH=/bin", "A=1"]}
    value, text = written(PodFacts(pod().status, None, (full._replace(config=None, spec=spec, entry=entry),)))
    (made,) = value["spec"]["containers"]
    assert made["command"] == ["sh", "-c", "x"] and made["workingDir"] == "/srv"
    assert made["env"] == [{"name": "B", "value": "2"}]
    assert "does not tell DNS" in text and "neither capabilities nor profiles" in text


@pytest.mark.parametrize("stored", ["dGV4dA==", "text"])
def test_values_of_variables_are_text_or_bytes(stored: str) -> None:
    real = {"A=text"} if stored == "dGV4dA==" else {"A=text", "B=x"}
    config: dict[str, Any] = {"envs": [{"key": "A", "value": stored}]}
    found._encode_values(config, real)
    assert base64.b64decode(config["envs"][0]["value"]) == b"text"


def test_files_of_a_volume(tmp_path: Path) -> None:
    (tmp_path / "..1/deep").mkdir(parents=True)
    (tmp_path / "..1/deep/a").write_text("x")
    assert files(str(tmp_path)) is None
    os.symlink("..1", tmp_path / "..data")
    assert files(str(tmp_path)) == {"deep/a": b"x"}
    (tmp_path / "..1/big").write_bytes(bytes((1 << 20) + 1))
    assert files(str(tmp_path)) is None


def test_what_the_agent_noted() -> None:
    reference = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "look", "key": "colour"}}}
    made: dict[str, Any] = {"name": "web", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "env": [reference]}
    sizes = {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    made |= {"resources": sizes}
    noted = {"metadata": {"name": "shop", "namespace": "default", "uid": "u"}, "spec": {"containers": [made]}}
    now = {"memory_limit_in_bytes": 96 << 20}
    web = container("web", envs=[{"key": "A", "value": b"blue"}], now=now)
    objects, comments = Objects(), Comments()
    value = remembered(pod(web, noted={"cricket.dev/pod": json.dumps(noted)}), objects, comments)
    assert value is not None and value["metadata"] == {"name": "shop"}
    assert value["spec"]["containers"] == [
        {"name": "web", "image": "busybox:1", "env": [reference], "resources": {"limits": {"memory": "96Mi"}}}
    ]
    assert objects.documents() == [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "look"}, "data": {"colour": "blue"}}
    ]
    assert "changed in place" in document(value, comments)
    assert remembered(pod(web), objects, comments) is None


def test_a_pod_without_containers_is_no_manifest() -> None:
    with pytest.raises(FailedPrecondition, match="no containers") as caught:
        written(pod())
    assert caught.value.where == "default/shop"
