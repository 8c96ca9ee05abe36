"""The environment of a container."""

from __future__ import annotations

import pytest
from kubelet_pods import NODE, pod, pods

from cricket.kubelet.env import environment
from cricket.kubelet.failure import CreateContainerConfigError
from cricket.kubelet.fields import pod_field
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod

_, OBJECTS = pods("""
    {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: "1", b: "2"}, binaryData: {raw: AAEC}}
    ---
    {apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: /w==}}
""")


def variables(container: str, objects: Objects = OBJECTS, made: Pod | None = None, **kwargs: str) -> dict[str, str]:
    made = made or pod(container=container, **kwargs)
    return environment(made, made.spec.containers[0], objects, NODE, ("10.0.0.5", "fd00::5"))


def test_order_and_precedence() -> None:
    found = variables("""
        envFrom: [{configMapRef: {name: c}}, {prefix: P_, configMapRef: {name: c}}, {secretRef: {name: s}}]
        env: [{name: b, value: own}, {name: c, value: "$(a)-$(b)-$(P_a)-$(later)"}, {name: later, value: x}]
    """)
    assert found == {
        "a": "1", "b": "own", "P_a": "1", "P_b": "2", "p": "\udcff", "c": "1-own-1-$(later)", "later": "x",
    }  # fmt: skip


def test_fields() -> None:
    paths = {
        "N": "metadata.name", "NS": "metadata.namespace", "L": "metadata.labels['a/b']",
        "X": "metadata.annotations['no']", "NODE": "spec.nodeName", "H": "status.hostIP",
        "I": "status.podIP", "IS": "status.podIPs",
    }  # fmt: skip
    env = ", ".join(f'{{name: {k}, valueFrom: {{fieldRef: {{fieldPath: "{v}"}}}}}}' for k, v in paths.items())
    found = variables(f"env: [{env}]", metadata="labels: {a/b: c}")
    assert found == {
        "N": "web", "NS": "default", "L": "c", "X": "", "NODE": "node", "H": "192.0.2.1", "I": "10.0.0.5",
        "IS": "10.0.0.5,fd00::5",
    }  # fmt: skip


def test_a_pod_on_the_hosts_network_has_its_addresses() -> None:
    env = "env: [{name: I, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]"
    assert variables(env, spec="hostNetwork: true") == {"I": "192.0.2.1"}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [("limits.cpu", "1", "1"), ("limits.cpu", "1m", "500"), ("limits.memory", "1Mi", "64"),
     ("limits.memory", "0", str(64 << 20)), ("requests.cpu", "1m", "500"), ("requests.ephemeral-storage", "1", "0")],
)  # fmt: skip
def test_resources(resource: str, divisor: str, value: str) -> None:
    source = f'{{resource: {resource}, divisor: "{divisor}"}}'
    container = f"""
        resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}
        env: [{{name: A, valueFrom: {{resourceFieldRef: {source}}}}}]
    """
    assert variables(container) == {"A": value}


def test_limits_that_are_not_set_are_the_nodes() -> None:
    container = "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]"
    assert variables(container) == {"A": "4"}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("envFrom: [{configMapRef: {name: gone}}]", 'configmap "gone" not found'),
        ("envFrom: [{secretRef: {name: gone}}]", 'secret "gone" not found'),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: gone, key: a}}}]", 'secret "gone" not found'),
        (
            "env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: x}}}]",
            "couldn't find key x in ConfigMap default/c",
        ),
        (
            "env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: raw}}}]",
            "couldn't find key raw in ConfigMap default/c",
        ),
    ],
)
def test_missing(container: str, words: str) -> None:
    with pytest.raises(CreateContainerConfigError) as error:
        variables(container)
    assert str(error.value) == words
    assert error.value.reason == "CreateContainerConfigError"


def test_optional() -> None:
    found = variables("""
        envFrom: [{configMapRef: {name: gone, optional: true}}, {secretRef: {name: gone, optional: true}}]
        env:
          - {name: A, valueFrom: {configMapKeyRef: {name: gone, key: a, optional: true}}}
          - {name: B, valueFrom: {secretKeyRef: {name: s, key: gone, optional: true}}}
    """)
    assert found == {}


def test_labels_as_lines() -> None:
    made = pod(metadata='labels: {b: c, a: ""}\nannotations: {x: "say \\"hi\\"\\nä\\u0001"}')
    assert pod_field(made, "metadata.labels", NODE) == 'a=""\nb="c"'
    assert pod_field(made, "metadata.annotations", NODE) == 'x="say \\"hi\\"\\nä\\x01"'
