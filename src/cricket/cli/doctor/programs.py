"""The programs that Cricket starts: are they there, and are they new enough."""

from __future__ import annotations

import contextlib
import os

from cricket.cli.doctor.finding import Finding, Findings, error, info, ok, warning
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.versions import Version, dotted, number, older

# CVE, the oldest release of each line that has the fix (a line before the first has none), what it is.
_RUNC_HOLES: tuple[tuple[str, tuple[Version, ...], str], ...] = (
    ("CVE-2024-21626", ((1, 1, 12),), "a leaked descriptor lets an image or an exec out of its container"),
    (
        "CVE-2025-31133",
        ((1, 2, 8), (1, 3, 3), (1, 4, 0)),
        "races over masked paths let a container write to the host (with CVE-2025-52565 and CVE-2025-52881)",
    ),
)
_CRUN_HOLE = ("CVE-2022-27650", (1, 4, 4), "exec gives more inheritable capabilities than the container has")


def commands(host: Host) -> dict[str, list[str]]:
    """What all checks together want to run. None of these changes the host; what could is given namespaces to waste."""
    tools = {
        "crun": ["crun", "--version"],
        "runc": ["runc", "--version"],
        "conmon": [host.config.monitor.path, "--version"],
        "catatonit": ["catatonit", "--version"],
        "criu": ["criu", "--version"],
        "iptables": ["iptables", "--version"],
        "unshare": ["unshare", "--version"],
        "nsenter": ["nsenter", "--version"],
        "apparmor_parser": ["apparmor_parser", "--version"],
    }
    mount = host.mount_of(host.config.root)
    if mount is not None and mount.fstype == "xfs":
        tools["xfs_info"] = ["xfs_info", mount.point]
    wanted = {name: argv for name, argv in tools.items() if host.which(argv[0])}
    if host.is_root and "unshare" in wanted:
        alone = ["unshare", "--mount", "--propagation", "private", "--"]
        if "criu" in wanted:  # it keeps what it finds in /run
            wanted["criu check"] = [*alone, "sh", "-c", "mount -t tmpfs none /run && exec criu check"]
        if "iptables" in wanted:
            wanted["new rule"] = [
                *("unshare", "--net", "--", "iptables", "-t", "nat", "-A", "POSTROUTING"),
                *("-m", "comment", "--comment", "doctor", "-j", "MASQUERADE"),
            ]
            if _forward_is_harmless(host):
                wanted["forward"] = ["iptables", "-S", "FORWARD"]
    return {name: [host.which(argv[0]) or argv[0], *argv[1:]] for name, argv in wanted.items()}


def _forward_is_harmless(host: Host) -> bool:
    """The old iptables makes a table when it is asked to show one that is not there yet."""
    if "legacy" not in os.path.realpath(host.which("iptables") or ""):
        return True
    return "filter" in host.read("/proc/net/ip_tables_names").split()


def crun(host: Host) -> Findings:
    """Present, not too old, with CRIU."""
    text = host.outputs["crun"].text if "crun" in host.outputs else ""
    version = number(text)
    if version is None:
        yield _absent(host, "crun")
        return
    cve, fixed, what = _CRUN_HOLE
    if older(version, fixed) and not _patched("crun", cve):
        yield warning(
            f"crun {dotted(version)} has {cve}", f"{what.capitalize()}.", f"Install {dotted(fixed)} or newer."
        )
    else:
        yield ok(f"crun {dotted(version)}")
    if "+CRIU" not in text:
        why = "Checkpoints of its containers are refused; runc's can be made."
        yield info(f"crun {dotted(version)} is built without CRIU", why)


def runc(host: Host) -> Findings:
    """Present, without known holes; a distribution may have mended an old version."""
    text = host.outputs["runc"].text if "runc" in host.outputs else ""
    version = number(text)
    if version is None:
        yield _absent(host, "runc")
        return
    open_holes = [(cve, fixed, what) for cve, fixed, what in _RUNC_HOLES if _has_hole(version, fixed)]
    for cve, fixed, what in open_holes:
        if _patched("runc", cve):
            continue
        todo = f"Install {dotted(fixed[0])} or newer, or a package of your distribution that names the fix."
        yield warning(f"runc {dotted(version)} has {cve}", f"{what[0].upper()}{what[1:]}.", todo)
    mended = [cve for cve, _, _ in open_holes if _patched("runc", cve)]
    yield ok(f"runc {dotted(version)}" + (f", {', '.join(mended)} mended by the distribution" if mended else ""))


def _has_hole(version: Version, fixed: tuple[Version, ...]) -> bool:
    lines = [first for first in fixed if first[:2] == version[:2]]
    return older(version, lines[0]) if lines else version < fixed[0]


def _patched(package: str, cve: str) -> bool:
    """Whether Debian's (or Ubuntu's) changelog of the installed package says that the hole is closed."""
    import gzip

    with (
        contextlib.suppress(OSError, EOFError),
        gzip.open(f"/usr/share/doc/{package}/changelog.Debian.gz", "rt", encoding="utf-8", errors="replace") as file,
    ):
        return cve in file.read(1 << 18)
    return False


def _absent(host: Host, name: str) -> Finding:
    """One of both runtimes is enough."""
    other = {"crun": "runc", "runc": "crun"}[name]
    named = any(os.path.basename(h.path) == name and key != name for key, h in host.config.handlers.items())
    if other in host.outputs and not named and host.config.default_handler != name:
        return info(f"{name} is not installed", f"{other} is, and one is enough.", command=_install(host, name))
    why = (
        "A handler of the configuration wants it." if other in host.outputs else "No container can be made without one."
    )
    return error(f"{name} is not installed", why, f"Install {name}.", _install(host, name))


def conmon(host: Host) -> Findings:
    """What holds a container's streams, log and exit code."""
    version = number(host.outputs["conmon"].text) if "conmon" in host.outputs else None
    path = host.config.monitor.path
    if version is None:
        why = "No container starts without it."
        yield error(f"{path} is not installed", why, "Install it, or name it: monitor.path.", _install(host, "conmon"))
    elif older(version, (2, 0, 23)):
        why = "It does not know --full-attach, with which Cricket starts it."
        yield error(f"conmon {dotted(version)} is too old", why, "Install 2.1 or newer.")
    else:
        yield ok(f"conmon {dotted(version)}")


def init(host: Host) -> Findings:
    """catatonit, the init of pods that share a PID namespace."""
    if "catatonit" in host.outputs:
        yield ok("catatonit")
    else:
        why = "Pods with `shareProcessNamespace: true` are refused: they need an init of their own."
        yield warning("catatonit is not installed", why, command=_install(host, "catatonit"))


def util_linux(host: Host) -> Findings:
    """unshare and nsenter make user namespaces."""
    missing = [name for name in ("unshare", "nsenter") if name not in host.outputs]
    if missing:
        why = "Pods with `hostUsers: false` fail."
        yield warning(f"{' and '.join(missing)} not installed", why, command=_install(host, "util-linux"))
    else:
        yield ok("unshare and nsenter")


def criu(host: Host) -> Findings:
    """Checkpoints; CRIU knows kernels of its own time only."""
    version = number(host.outputs["criu"].text) if "criu" in host.outputs else None
    lost = "Containers cannot be checkpointed."
    if version is None:
        yield info("criu is not installed", lost, command=_install(host, "criu"))
        return
    check = host.outputs.get("criu check")
    if check is None or check.code == 0:
        seen = "" if check else ", not tried on this kernel (only root can)"
        yield ok(f"criu {dotted(version)}{seen}")
        return
    said = [line.rpartition("): ")[2] for line in check.text.splitlines() if "Error" in line]
    kernel = ".".join(map(str, host.kernel))
    why = f"It says: {said[0]}. {lost}" if said else lost
    yield info(f"criu {dotted(version)} does not work on Linux {kernel}", why, "If you need it, install a newer one.")


def _install(host: Host, package: str) -> str:
    """The command of the host's package manager."""
    for tool, command in (("apt-get", "apt-get install"), ("dnf", "dnf install"), ("zypper", "zypper install")):
        if host.which(tool):
            return f"{command} {package}"
    return f"apk add {package}" if host.which("apk") else ""
