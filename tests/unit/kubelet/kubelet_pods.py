"""Pods for tests, from a few lines of YAML; what stands beside them; a node."""

from __future__ import annotations

import textwrap

from cricket.kubelet.manifest.desired import objects_of
from cricket.kubelet.manifest.load import load
from cricket.kubelet.model.objects import Objects
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.node import Node

NODE = Node("node", host_ips=("192.0.2.1",), cpu_millis=4000, memory_bytes=8 << 30)


def pods(text: str) -> tuple[list[Pod], Objects]:
    """The pods and the objects of documents, which have to be valid."""
    found = load(textwrap.dedent(text).encode(), "test", "node")
    assert not found.errors, [str(error) for error in found.errors]
    return list(found.pods), objects_of([found])


def pod(spec: str = "", container: str = "", metadata: str = "") -> Pod:
    """A pod `web` with one container `main`; each argument is more lines of YAML in their place."""
    lines = ["apiVersion: v1", "kind: Pod", "metadata:", "  name: web"]
    lines += ["  " + line for line in textwrap.dedent(metadata).strip().splitlines()]
    lines += ["spec:", *("  " + line for line in textwrap.dedent(spec).strip().splitlines())]
    if "containers:" not in spec.replace("initContainers:", ""):
        lines += ["  containers:", "    - name: main", "      image: busybox:1"]
        lines += ["      " + line for line in textwrap.dedent(container).strip().splitlines()]
    return pods("\n".join(lines))[0][0]
