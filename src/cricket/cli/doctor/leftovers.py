"""What dead daemons, crashes and killed tests leave behind: directories, mounts, cgroups and monitors without a pod.

The daemon sweeps at its start what its records do not name, so most of this is there only while no daemon runs, or
when a removal failed. What is younger than a minute is left alone: it may be on its way.
"""

from __future__ import annotations

import os
import re
import time

from cricket.cli.doctor import cgroups
from cricket.cli.doctor.finding import Findings, Unseen, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.wording import counted, some
from cricket.cli.words import short

_ID = re.compile(r"[0-9a-f]{64}")
_SCOPE = re.compile(r"cri-cricket-([0-9a-f]{64})\.scope")
_YOUNG = 60.0
_DEPTH = 6  # of cgroups: kubepods, its class, the pod, the container, and one below
_START = "The daemon takes such things away when it starts; when it runs already, its log says why it could not."


def daemon(host: Host) -> Findings:
    """Pods that nobody looks after."""
    if host.runtime is not None or host.forbidden:
        return
    holder = _locker(host, f"{host.config.root}/daemon.lock")
    if holder:
        why = "It starts, hangs, or listens at another socket than the one asked."
        yield warning(
            f"a daemon (pid {holder}) holds {host.config.root}, but does not answer", why, "Look into its log."
        )
    known = host.known
    if known.sandboxes:
        what = f"{counted(len(known.sandboxes), 'pod')} recorded, and no daemon runs"
        why = "Containers go on, but nobody sees their ends, restarts them, or can stop them."
        yield warning(what, why, "Start it; it takes up what is there.", host.start)
    elif not holder:
        yield ok("no pods without a daemon")


def _locker(host: Host, path: str) -> int:
    """The process that has locked a file; asked of the kernel, as trying could stop a daemon that starts just then."""
    try:
        status = os.stat(host.at(path))
    except OSError:
        return 0
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in host.read("/proc/locks").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == name:
            return int(fields[4])
    return 0


def directories(host: Host) -> Findings:
    """Directories of pods and containers that no record names, with the mounts in them."""
    state, known = host.config.state, host.known
    strays = []
    for kind, ids in (("sandboxes", known.sandboxes), ("containers", known.containers)):
        for name in host.list(f"{state}/{kind}"):
            if name not in ids and _old(host, f"{state}/{kind}/{name}"):
                strays.append(f"{state}/{kind}/{name}")
    below = tuple(f"{path}/" for path in strays)
    points = [m.point for m in host.mounts if below and m.point.startswith(below)]
    if strays:
        mounts = f" (with {counted(len(points), 'mount')})" if points else ""
        what = f"{counted(len(strays), 'directory', 'directories')} of no recorded pod{mounts}: {_shortened(strays)}"
        why = "Pins keep network namespaces alive, and with them addresses and interfaces."
        yield warning(what, why, _START)
    else:
        yield ok("every directory of a pod belongs to one")


def mounts(host: Host) -> Findings:
    """Mounts of other state directories, whose daemons are gone."""
    ours = (host.config.state + "/", host.config.root + "/")
    found: dict[str, int] = {}
    for mount in host.mounts:
        match = re.match(r"(.+)/(?:sandboxes|containers)/[0-9a-f]{64}/", mount.point)
        if match and not mount.point.startswith(ours) and host.exists(f"{match[1]}/daemon.lock"):
            found[match[1]] = found.get(match[1], 0) + 1
    dead = {state: count for state, count in found.items() if not _served(host, state)}
    for state, count in dead.items():
        why = "They belong to a Cricket daemon with another configuration, and none such runs."
        todo = "Start it once with that configuration and remove its pods, or after a look at what is there:"
        command = f"grep ' {state}/' /proc/mounts | cut -d' ' -f2 | tac | xargs -n1 umount -l"
        yield info(f"{counted(count, 'mount')} below {state}", why, todo, command)
    if not dead:
        yield ok("no mounts of daemons that are gone")


def _served(host: Host, state: str) -> bool:
    """Whether a daemon has locked this state directory."""
    return bool(_locker(host, f"{state}/daemon.lock"))


def groups(host: Host) -> Findings:
    """Empty cgroups of Cricket's containers that are gone."""
    hierarchy = cgroups.legacy(host).get("memory") or cgroups.unified(host)
    if not hierarchy:
        return
    known, strays = host.known, []
    for path, name in _walk(host, hierarchy, _DEPTH):
        scope = _SCOPE.fullmatch(name)
        container = (
            scope[1] if scope else name if _ID.fullmatch(name) and path.startswith(f"{hierarchy}/cricket/") else ""
        )
        if (
            container
            and container not in known.containers
            and _old(host, path)
            and not host.read(f"{path}/cgroup.procs")
        ):
            strays.append(path)
    if strays:
        what = f"{counted(len(strays), 'empty cgroup')} of containers that are gone: {_shortened(strays)}"
        command = f"rmdir {strays[0]}" if len(strays) == 1 else ""
        yield info(what, "They cost a little memory each.", "They can be removed with rmdir, deepest first.", command)
    else:
        yield ok("no cgroups of containers that are gone")


def _walk(host: Host, directory: str, depth: int) -> list[tuple[str, str]]:
    """The cgroups below a directory as (path, name)."""
    found = []
    try:
        with os.scandir(host.at(directory)) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    for name in names:
        path = f"{directory}/{name}"
        found.append((path, name))
        if depth > 1:
            found += _walk(host, path, depth - 1)
    return found


def monitors(host: Host) -> Findings:
    """conmon processes whose container no record names."""
    containers = f"{host.config.state}/containers/"
    strays = []
    for process in host.processes:
        if process.name != "conmon":
            continue
        bundle = next((word for word in process.argv if word.startswith(containers)), "")
        found = bundle.removeprefix(containers).split("/")[0]
        if found and found not in host.known.containers and _old(host, f"/proc/{process.pid}"):
            strays.append((process.pid, found))
    for pid, container in strays:
        why = "Its container may still run, and no record names it."
        yield warning(f"conmon (pid {pid}) of container {short(container)} is nobody's", why, _START, f"kill {pid}")
    if not strays:
        yield ok("every monitor belongs to a container")


def _old(host: Host, path: str) -> bool:
    try:
        return time.time() - os.stat(host.at(path)).st_mtime > _YOUNG
    except PermissionError as error:
        raise Unseen("may not be looked at", where=path) from error
    except OSError:
        return False  # gone meanwhile


def _shortened(paths: list[str]) -> str:
    """Two of them, with short ids."""
    return some([_ID.sub(lambda found: short(found[0]), path) for path in paths], 2)
