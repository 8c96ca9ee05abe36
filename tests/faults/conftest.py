from harness.fixtures import busybox_ref, registry

__all__ = ["busybox_ref", "registry"]
