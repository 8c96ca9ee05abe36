"""Loading: defaults, workloads, identities."""

from __future__ import annotations

import json

import pytest
from kubelet_pods import pod, pods

from cricket.kubelet.identity import container_hash, resize_only, spec_hash
from cricket.kubelet.manifest.defaults import pull_policy
from cricket.kubelet.manifest.load import load


@pytest.mark.parametrize(
    ("image", "policy"),
    [("busybox", "Always"), ("busybox:latest", "Always"), ("busybox:1", "IfNotPresent"), ("host:5000/a", "Always"),
     ("host:5000/a:1", "IfNotPresent"), ("a@sha256:0", "IfNotPresent"), ("a:latest@sha256:0", "IfNotPresent")],
)  # fmt: skip
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_defaults() -> None:
    made = pod(
        spec="hostNetwork: true\nvolumes: [{name: v}]",
        container="""
            ports: [{containerPort: 80}]
            resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}
            livenessProbe: {httpGet: {port: 80, path: ""}, timeoutSeconds: 0, periodSeconds: 0}
        """,
    )
    (container,) = made.spec.containers
    assert made.metadata.namespace == "default"
    assert container.ports[0].host_port == 80
    assert container.resources.requests == {"cpu": "500m", "memory": "1Gi"}
    assert container.liveness_probe is not None and container.liveness_probe.http_get is not None
    assert container.liveness_probe.http_get.path == "/"
    assert (container.liveness_probe.timeout_seconds, container.liveness_probe.period_seconds) == (1, 10)
    assert made.spec.volumes[0].empty_dir is not None
    assert made.spec.termination_grace_period_seconds == 30


def test_null_is_nothing() -> None:
    made = pod(spec="securityContext: null\nvolumes: null\nactiveDeadlineSeconds: ~", container="env: null")
    assert made.spec.security_context.run_as_user is None
    assert made.spec.volumes == ()


def test_json_is_yaml() -> None:
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "b", "image": "c"}]},
        }
    )
    assert load(text.encode(), "x", "node").pods[0].metadata.name == "a"


DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      replicas: 3
      selector: {matchLabels: {app: web}, matchExpressions: [{key: app, operator: In, values: [web]}]}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: main, image: "busybox:1"}]}
"""


def test_deployment() -> None:
    made, _ = pods(DEPLOYMENT)
    assert [p.key for p in made] == ["shop/web-0", "shop/web-1", "shop/web-2"]
    assert len({p.metadata.uid for p in made}) == 3
    assert made[1].owner is not None
    assert (made[1].owner.kind, made[1].owner.name, made[1].owner.index, made[1].owner.replicas) == (
        "Deployment", "web", 1, 3,
    )  # fmt: skip


def test_more_replicas_leave_the_others_alone() -> None:
    few, _ = pods(DEPLOYMENT)
    many, _ = pods(DEPLOYMENT.replace("replicas: 3", "replicas: 4"))
    assert [p.metadata.uid for p in many][:3] == [p.metadata.uid for p in few]


def test_stateful_set_claims() -> None:
    made, objects = pods("""
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db}
        spec:
          replicas: 2
          ordinals: {start: 5}
          serviceName: data
          selector: {matchLabels: {a: b}}
          template:
            metadata: {labels: {a: b}}
            spec:
              containers: [{name: m, image: "i:1", volumeMounts: [{name: disk, mountPath: /d}]}]
          volumeClaimTemplates:
            - metadata: {name: disk}
              spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
    """)
    assert [p.metadata.name for p in made] == ["db-5", "db-6"]
    assert set(objects.claims) == {"default/disk-db-5", "default/disk-db-6"}
    assert made[0].spec.volumes[0].persistent_volume_claim is not None
    assert made[0].spec.volumes[0].persistent_volume_claim.claim_name == "disk-db-5"
    assert (made[0].spec.hostname, made[0].spec.subdomain) == ("db-5", "data")
    assert made[0].metadata.labels["apps.kubernetes.io/pod-index"] == "5"


def test_jobs() -> None:
    text = """
        apiVersion: batch/v1
        kind: Job
        metadata: {name: j}
        spec:
          completions: 3
          parallelism: 2
          completionMode: Indexed
          template: {spec: {restartPolicy: Never, containers: [{name: m, image: "i:1"}]}}
    """
    made, _ = pods(text)
    assert [p.spec.containers[0].env[0].value for p in made] == ["0", "1", "2"]
    assert made[0].owner is not None and made[0].owner.parallelism == 2
    assert pods(text.replace("completions: 3", "completions: 3\n          suspend: true"))[0] == []


def test_uid_is_of_the_manifest() -> None:
    base = pod()
    assert pod().metadata.uid == base.metadata.uid
    assert pod(container="tty: true").metadata.uid != base.metadata.uid
    assert pod(metadata="labels: {a: b}").metadata.uid != base.metadata.uid
    assert pod(metadata="uid: mine").metadata.uid == "mine"
    other = load(b"{apiVersion: v1, kind: Pod, metadata: {name: web}, "
                 b"spec: {containers: [{name: main, image: 'busybox:1'}]}}", "elsewhere", "node")  # fmt: skip
    assert other.pods[0].metadata.uid == base.metadata.uid


def sized(cpu: str, memory: str, more: str = "") -> str:
    return f"resources: {{requests: {{cpu: {cpu}, memory: {memory}}}, limits: {{memory: 1Gi}}}}\n{more}"


def test_resizing() -> None:
    old = pod(container=sized("100m", "64Mi"))
    new = pod(container=sized("200m", "96Mi"))
    assert resize_only(old, new)
    assert not resize_only(old, old)
    assert old.metadata.uid == new.metadata.uid
    assert spec_hash(old) != spec_hash(new)
    assert container_hash(old.spec.containers[0]) == container_hash(new.spec.containers[0])
    changed = pod(container=sized("200m", "96Mi", "tty: true"))
    assert not resize_only(old, changed)
    # Another QoS class is another pod.
    best_effort = pod()
    assert not resize_only(old, best_effort)
    assert old.metadata.uid != best_effort.metadata.uid


def test_init_containers_are_not_resized() -> None:
    template = "initContainers: [{{name: i, image: 'x:1', {}resources: {{requests: {{cpu: {}}}}}}}]"
    old, new = pod(spec=template.format("", "1")), pod(spec=template.format("", "2"))
    assert not resize_only(old, new)
    sidecar = "restartPolicy: Always, "
    assert resize_only(pod(spec=template.format(sidecar, "1")), pod(spec=template.format(sidecar, "2")))


def test_problems_name_their_place() -> None:
    found = load(
        b"kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec:\n  containers:\n  - nam: b\n", "f.yaml", "node"
    )
    assert [str(e) for e in found.errors] == [
        "f.yaml:6: spec.containers[0].nam: unknown field; did you mean name?",
        "f.yaml:6: spec.containers[0].name: required value",
        "f.yaml:6: spec.containers[0].image: required value",
    ]
    assert found.pods == ()


def test_what_was_good_before_a_mistake_stays() -> None:
    good = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}"
    found = load(f"{good}\n---\n[\n".encode(), "f", "node")
    assert len(found.pods) == 1
    assert len(found.errors) == 1
