"""No manifest, however broken, is more than a list of problems."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cricket.kubelet.manifest.load import load

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c", "items": []}}]}}],
        "containers": [
            {
                "name": "main",
                "image": "i",
                "ports": [{"containerPort": 80, "hostPort": 80}],
                "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
                "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}],
                "securityContext": {"seccompProfile": {"type": "Localhost"}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
            }
        ],
        "dnsConfig": {"options": [{"name": "a"}]},
        "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}],
        "resources": {"limits": {"cpu": "2"}},
    },
}
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.builds(list), st.builds(dict),
    st.lists(st.none(), min_size=1, max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


PLACES = places(POD)


@given(st.lists(st.tuples(st.sampled_from(PLACES), junk), min_size=1, max_size=3))
@settings(max_examples=300)
def test_a_pod_with_junk_in_it(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document = json.loads(json.dumps(POD))
    for path, value in changes:
        target = document
        for key in path[:-1]:
            inner = target[key] if isinstance(target, dict) and key in target else None
            if isinstance(target, list) and isinstance(key, int) and key < len(target):
                inner = target[key]
            target = inner
        last = path[-1]
        if isinstance(target, dict) or (isinstance(target, list) and isinstance(last, int) and last < len(target)):
            target[last] = value
    found = load(json.dumps(document).encode(), "x", "node")
    for problem in (*found.errors, *found.warnings):
        assert str(problem).startswith("x")


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="{}[]:-,&*!|>'\"%@` \n\tab1", max_size=60).map(str.encode)))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_bytes(text: bytes) -> None:
    load(text, "x", "node")
