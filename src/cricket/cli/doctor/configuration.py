"""The configuration: what is wrong in it, and whether the daemon runs with what the files say."""

from __future__ import annotations

from cricket.cli.doctor.finding import Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.wording import some


def files(host: Host) -> Findings:
    """What `cricket config check` says."""
    found = host.files
    why = "The daemon does not start with it; one that runs keeps its old configuration."
    for problem in found.problems:
        yield error(problem, why, "Correct it, and check again:", "cricket config check")
    for text in found.warnings:
        yield warning(text)
    if found.config is not None and not found.warnings:
        yield ok(f"configuration: {', '.join(found.files) or 'no files, all defaults'}")


def in_force(host: Host) -> Findings:
    """Files may have changed since the daemon read them."""
    from cricket.cli.doctor import offline

    runtime = host.runtime
    if runtime is None or not runtime.config:
        return
    if runtime.path and runtime.path != host.config_path:
        yield info(
            f"the daemon reads {runtime.path}, not {host.config_path}", "", "Give it to the doctor with --config."
        )
        return
    config = host.files.config
    changed = offline.changed(runtime.config, config) if config is not None else []
    if changed:
        why = "A restart would change them, maybe to somebody's surprise."
        todo = "Take them over; it says what needs a restart."
        keys = some(changed)
        yield info(f"the daemon does not run with what the files say: {keys}", why, todo, "cricket reload")
    else:
        yield ok("the daemon runs with what the files say")
