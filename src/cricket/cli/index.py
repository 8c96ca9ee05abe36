"""Every command with its line of help, in groups. Names only: a command's module is imported when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GROUPS: dict[str, dict[str, str]] = {
    "Pods and containers": {
        "pods": "List pod sandboxes",
        "ps": "List containers",
        "run": "Run a pod manifest to its end, or a container in a pod of its own",
        "runp": "Run a pod sandbox",
        "create": "Create a container in a pod",
        "start": "Start created containers",
        "stop": "Stop containers",
        "rm": "Remove containers",
        "stopp": "Stop pod sandboxes",
        "rmp": "Remove pod sandboxes",
        "update": "Change the resource limits of containers",
        "checkpoint": "Write a checkpoint of a container to a file",
    },
    "Looking into them": {
        "kube generate": "Write the manifest of a running pod",
        "logs": "Show what a container has written",
        "exec": "Run a command in a container",
        "attach": "Attach to a running container",
        "cp": "Copy files into containers and out of them",
        "port-forward": "Forward local ports to a pod",
        "inspect": "Show everything about a container, pod or image",
        "top": "Watch what pods and containers use, live",
        "stats": "Show what containers use",
        "statsp": "Show what pods use",
        "events": "Show what happened and what happens",
        "why": "Show what operations are doing and where their time goes",
    },
    "Images": {
        "images": "List images",
        "pull": "Pull images",
        "rmi": "Remove images",
        "load": "Load images from an archive or layout",
        "save": "Write images to an archive or layout",
        "import": "Make an image of a directory or tar",
        "images check": "Verify every blob and layer of the store",
    },
    "The node and the daemon": {
        "status": "Show whether runtime and network are ready",
        "info": "Show who answers, where its data is and how big",
        "version": "Show the versions of client and runtime",
        "doctor": "Look this host over and say what to do",
        "serve": "Run the daemon in the foreground",
        "reload": "Let the daemon read its configuration anew",
        "config default": "Print the default configuration",
        "config check": "Say what is wrong with the configuration",
        "config show": "Print the configuration in force",
        "config registries": "Explain where pulls of a name go",
        "kubelet": "Run the node agent: manifests become running pods, through any runtime",
        "kubelet status": "Show the pods of the node agent with reasons",
        "bench node": "Measure pod starts, CPU and memory, also against other runtimes",
        "bench explain": "Show where the time of one pod goes",
        "bench cli": "Measure how fast commands start",
        "network init": "Write a network configuration for a node that has none",
        "completion": "Print a script that completes in bash, zsh or fish",
    },
}

# Commands of crictl that scripts call rather than people: they work, but the overview leaves them out.
HIDDEN: dict[str, str] = {
    "imagefsinfo": "Show how much room images and containers take",
    "metricdescs": "Show which metrics of pods the runtime knows",
    "metricsp": "Show the metrics of pods",
    "runtime-config": "Show what the runtime tells the kubelet about its configuration",
}

# What people have in their fingers from crictl, docker, podman and kubectl, and what it is called here.
ALIASES: dict[str, tuple[str, ...]] = {
    "event": ("events",),
    "image": ("images",),
    "img": ("images",),
    "inspecti": ("inspect", "--kind", "image"),
    "inspectp": ("inspect", "--kind", "pod"),
    "describe": ("inspect",),
    "describe pod": ("inspect", "--kind", "pod"),
    "get po": ("pods",),
    "get pod": ("pods",),
    "get pods": ("pods",),
    "get events": ("events",),
    "pod inspect": ("inspect", "--kind", "pod"),
    "pod logs": ("logs", "--pod"),
    "pod ls": ("pods",),
    "pod ps": ("pods",),
    "pod rm": ("rmp",),
    "pod stats": ("statsp",),
    "pod stop": ("stopp",),
    "pod top": ("top",),
    "container inspect": ("inspect", "--kind", "container"),
    "container list": ("ps",),
    "container ls": ("ps",),
    "container ps": ("ps",),
    "container prune": ("rm", "--exited"),
    "image inspect": ("inspect", "--kind", "image"),
    "image list": ("images",),
    "image ls": ("images",),
    "image prune": ("rmi", "--unused"),
    "image rm": ("rmi",),
    **{
        f"container {verb}": (verb,) for verb in ("attach", "cp", "exec", "logs", "rm", "start", "stats", "stop", "top")
    },
    **{f"image {v}": (v,) for v in ("import", "load", "pull", "save")},
}

# `import` is no name for a module.
_MODULES = {"import": "import_image"}


class Entry(NamedTuple):
    """A command: its name of one or two words, the module in `cricket.cli.commands`, and its line of help."""

    name: str
    module: str
    summary: str


def entries(*, hidden: bool = False) -> list[Entry]:
    """All commands, in the order of the help; `hidden`: also those that it leaves out."""
    return [
        Entry(name, "cricket.cli.commands." + _MODULES.get(name, name.replace("-", "_").replace(" ", "_")), summary)
        for group in (*GROUPS.values(), *([HIDDEN] if hidden else []))
        for name, summary in group.items()
    ]


def find(words: Sequence[str]) -> tuple[Entry | None, list[str]]:
    """The command that the words begin with and the rest of them; the longer name wins, and a command over an alias."""
    known = {entry.name: entry for entry in entries(hidden=True)}
    for length in (2, 1):
        entry = known.get(" ".join(words[:length]))
        if entry is not None and len(words) >= length:
            return entry, list(words[length:])
    for length in (2, 1):
        meant = ALIASES.get(" ".join(words[:length]))
        if meant is not None and len(words) >= length:
            return known[meant[0]], [*meant[1:], *words[length:]]
    return None, list(words)


def below(word: str) -> list[Entry]:
    """The commands of two words that begin with `word`."""
    return [entry for entry in entries() if entry.name.startswith(word + " ")]
