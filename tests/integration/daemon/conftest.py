"""Fixtures of the daemon's own tests."""

from harness.fixtures import busybox_ref, node, pods, registry

__all__ = ["busybox_ref", "node", "pods", "registry"]
