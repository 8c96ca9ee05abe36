"""The runtime handlers: does each make a container here, and with which features."""

from __future__ import annotations

from cricket.cli.doctor.finding import Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host

# Feature as the daemon tells it, and what pods lose without.
_FEATURES = {
    "recursive_read_only": "recursive read-only mounts",
    "user_namespaces": "user namespaces",
    "idmap_mounts": "id-mapped volumes",
    "seccomp": "seccomp",
}


def work(host: Host) -> Findings:
    """By effect: each has made a container that was never started, in the daemon or just now."""
    found = host.handlers
    preferred = [name for name in ("crun", "runc", *found) if name in found and not found[name].problem]
    wanted = host.config.default_handler
    default = wanted if wanted != "auto" else (preferred[0] if preferred else "")
    if not preferred:
        why = "No pod starts on this node."
        yield error("no runtime handler works", why, "The lines below say why.")
    for name, handler in found.items():
        which = f"{name} (the default)" if name == default else name
        absent = host.which(handler.path) is None and name in ("crun", "runc") and name != default
        if handler.problem and absent:
            yield info(f"handler {name} has no runtime: {handler.path} is not installed")
        elif handler.problem:
            what, command = _split_advice(handler.problem)
            report = error if name == default or not preferred else warning
            yield report(f"handler {which} does not work: {what}", "Pods that name it fail.", command=command)
        else:
            yield ok(f"handler {which}: {handler.path} {handler.version} makes containers here")


def features(host: Host) -> Findings:
    """What working handlers cannot do here."""
    for name, handler in host.handlers.items():
        if handler.problem:
            continue
        lost = [text for key, text in _FEATURES.items() if handler.features.get(key) is False]
        if lost:
            why = "Pods that ask for it are refused with this reason."
            yield info(
                f"handler {name} has no {', no '.join(lost)}", why, "A newer version of it, or of the kernel, may."
            )
        else:
            yield ok(f"handler {name} has {', '.join(t for k, t in _FEATURES.items() if k in handler.features)}")


def _split_advice(problem: str) -> tuple[str, str]:
    """The daemon's reason ends with the commands to run, when it knows some."""
    text, found, command = problem.partition("; to move them: ")
    return (text, command) if found else (problem, "")
