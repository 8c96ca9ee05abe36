import pytest

pytest.register_assert_rewrite("faults_kit", "faults_scenarios", "harness")

from harness.fixtures import busybox_ref, registry  # noqa: E402  (rewritten when imported)

__all__ = ["busybox_ref", "registry"]
