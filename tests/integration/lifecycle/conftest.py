"""A whole daemon for tests of its verbs."""

from __future__ import annotations

from harness.fixtures import busybox_ref, node, pods, registry

__all__ = ["busybox_ref", "node", "pods", "registry"]
