"""Where containers of `cricket run IMAGE` write, and that it goes with them: no kubelet looks after it."""

from __future__ import annotations

import shutil
from typing import Any

LABEL = "cricket.dev/run"
"""Of their pods: `image`."""


def directory(metadata: Any) -> str:
    """As the kubelet has it for its pods; `metadata` is the sandbox's."""
    return f"/var/log/pods/{metadata.namespace}_{metadata.name}_{metadata.uid}"


def remove(item: Any) -> None:
    """The logs of a sandbox (an item of ListPodSandbox) that was removed, if it was made by `cricket run IMAGE`."""
    metadata = item.metadata
    names = (metadata.namespace, metadata.name, metadata.uid)
    if item.labels.get(LABEL) == "image" and not any("/" in name for name in names):
        shutil.rmtree(directory(metadata), ignore_errors=True)
