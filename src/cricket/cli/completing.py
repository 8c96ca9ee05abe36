"""What an argument completes to: as its command declares it with `completes`, or as its name lets one expect.

Kinds: `container`, `pod`, `image`, `handler`, `endpoint`, `namespace`, `check`, `container-path`, `form`, `command`,
`file`, `dir`, `=one,two` for those words; several with a bar between them.
"""

from __future__ import annotations

import argparse
import re
from typing import TypeVar

A = TypeVar("A", bound=argparse.Action)

# Words of a metavar or, where there is none, the destination.
_WORDS = {
    "CONTAINER": "container",
    "POD": "pod",
    "IMAGE": "image",
    "REFERENCE": "image",
    "OBJECT": "container|pod|image",
    "ID": "container|pod",
    "HANDLER": "handler",
    "FORM": "form",
    "FILE": "file",
    "PATH": "file",
    "FOLDER": "dir",
    "DIR": "dir",
}
# Where the same word means something else.
_COMMANDS = {
    ("pods", "id"): "pod",
    ("pods", "ids"): "pod",
    ("pods", "namespace"): "namespace",
    ("ps", "namespace"): "namespace",
    ("ps", "id"): "container",
    ("ps", "ids"): "container",
    ("cp", "source"): "container-path|file",
    ("cp", "destination"): "container-path|file",
    ("exec", "container"): "container|pod",
    ("attach", "container"): "container|pod",
    ("exec", "name"): "container",
    ("attach", "name"): "container",
    ("images", "word"): "image",
    ("top", "filter"): "pod",
    ("config registries", "name"): "image",
    ("pods", "state"): "=ready,notready",
    ("ps", "state"): "=created,running,exited,unknown",
    ("pods", "sort_by"): "",
    ("ps", "sort_by"): "",
    ("images", "sort_by"): "",
    ("kubelet", "cgroup_root"): "",
}


def completes(action: A, kind: str) -> A:
    """Declare what `parser.add_argument(...)` completes to, where its name does not tell. Returns the action."""
    action.completes = kind  # type: ignore[attr-defined]  # argparse has no place for such notes
    return action


def kind_of(command: str, action: argparse.Action) -> str:
    """The kinds of an argument, "" when nothing is known of it. `choices` are not the business of this."""
    declared = getattr(action, "completes", None)
    if declared is not None:
        return str(declared)
    if action.dest == "runtime_endpoint":
        return "endpoint"
    special = _COMMANDS.get((command, action.dest))
    if special is not None:
        return special
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if re.search(r"\.(json|yaml)\b", metavar):
        return "file"
    names = (metavar if metavar and (metavar != "NAME" or action.dest != "container") else action.dest).upper()
    return "|".join(dict.fromkeys(_WORDS[name] for name in names.split("|") if name in _WORDS))
