"""Facts of the host that specs depend on, gathered once at start by reading /proc and /sys."""

from __future__ import annotations

import contextlib
import os
import re
import resource

import msgspec

from cricket.kernel.cgroup_hugetlb import size_name
from cricket.oci.capability_names import CAPABILITIES

UNLIMITED = (1 << 64) - 1
# Flags of the one cgroup2 superblock; a mount in the host's cgroup namespace that leaves them out takes them away.
_CGROUP2_FLAGS = ("nsdelegate", "memory_recursiveprot")


class HostFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this host and this daemon can do.

    `cgroup_version` is 1 for v1 and hybrid. `controllers` are those of the version in use. `capabilities` ("CAP_...")
    is the daemon's bounding set: more cannot be given to anybody. `oom_score_adj_min` is the lowest score that may be
    written. `hugepage_sizes` are spelled as cgroup files spell them ("2MB"), and empty without the hugetlb controller.
    `rlimits` maps "RLIMIT_..." to the daemon's hard limit; `max_open_files` is what the kernel allows anybody.
    """

    cgroup_version: int = 2
    controllers: frozenset[str] = frozenset()
    cgroup2_flags: tuple[str, ...] = ()
    swap: bool = False
    hugepage_sizes: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset(CAPABILITIES)
    seccomp: bool = True
    apparmor: bool = False
    selinux: bool = False
    user_namespaces: bool = True
    oom_score_adj_min: int = -1000
    may_raise_rlimits: bool = True
    rlimits: dict[str, int] = {}
    max_open_files: int = UNLIMITED
    kernel: tuple[int, int] = (5, 10)
    arch: str = "x86_64"
    hostname: str = ""

    @staticmethod
    def gather(proc: str = "/proc", sys: str = "/sys") -> HostFacts:
        """Read them; what cannot be read counts as absent. A few dozen small reads, about a millisecond."""
        status = dict(line.split(":", 1) for line in _read(f"{proc}/self/status").splitlines() if ":" in line)
        capabilities = _capabilities(int(status.get("CapBnd", "0").strip() or "0", 16))
        # In a user namespace the capability is there, but the kernel asks for it in the initial one.
        initial_userns = _read(f"{proc}/self/uid_map").split() == ["0", "0", str(0xFFFFFFFF)]
        resourceful = "CAP_SYS_RESOURCE" in capabilities and initial_userns
        version = 2 if os.path.exists(f"{sys}/fs/cgroup/cgroup.controllers") else 1
        controllers = _controllers(version, proc, sys)
        return HostFacts(
            cgroup_version=version,
            controllers=controllers,
            cgroup2_flags=_cgroup2_flags(proc, sys) if version == 2 else (),
            swap=_swap(version, sys),
            hugepage_sizes=_hugepage_sizes(sys) if "hugetlb" in controllers else frozenset(),
            capabilities=capabilities,
            seccomp="Seccomp" in status,
            apparmor=_read(f"{sys}/module/apparmor/parameters/enabled").strip() == "Y",
            selinux=os.path.exists(f"{sys}/fs/selinux/enforce"),
            user_namespaces=_user_namespaces(proc),
            oom_score_adj_min=-1000 if resourceful else int(_read(f"{proc}/self/oom_score_adj") or "0"),
            may_raise_rlimits=resourceful,
            rlimits=_rlimits(),
            max_open_files=_open_files(proc),
            kernel=kernel_version(os.uname().release),
            arch=os.uname().machine,
            hostname=os.uname().nodename,
        )


def kernel_version(release: str) -> tuple[int, int]:
    """Major and minor of a release like "6.1.0-13-amd64"; (0, 0) when there is no number."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as f:
        return f.read(65536)
    return ""


def _capabilities(mask: int) -> frozenset[str]:
    return frozenset(name for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1)


def _controllers(version: int, proc: str, sys: str) -> frozenset[str]:
    if version == 2:
        return frozenset(_read(f"{sys}/fs/cgroup/cgroup.controllers").split())
    found: set[str] = set()
    for line in _read(f"{proc}/self/cgroup").splitlines():
        names = line.split(":", 2)[1] if line.count(":") >= 2 else ""
        found.update(n for n in names.split(",") if n and not n.startswith("name="))
    return frozenset(found)


def _cgroup2_flags(proc: str, sys: str) -> tuple[str, ...]:
    for line in _read(f"{proc}/self/mountinfo").splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and fields[4] == f"{sys}/fs/cgroup":
            options = fields[-1].split(",")
            return tuple(flag for flag in _CGROUP2_FLAGS if flag in options)
    return ()


def _swap(version: int, sys: str) -> bool:
    root = f"{sys}/fs/cgroup"
    if version == 1:
        return os.path.exists(f"{root}/memory/memory.memsw.limit_in_bytes")
    # The root cgroup has no such file; its children have it when the kernel accounts swap.
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        return any(e.is_dir() and os.path.exists(f"{e.path}/memory.swap.max") for e in entries)
    return False


def _hugepage_sizes(sys: str) -> frozenset[str]:
    sizes = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"{sys}/kernel/mm/hugepages"):
            match = re.fullmatch(r"hugepages-(\d+)kB", name)
            if match:
                sizes.add(size_name(int(match[1])))
    return frozenset(sizes)


def _user_namespaces(proc: str) -> bool:
    limit = _read(f"{proc}/sys/user/max_user_namespaces").strip()
    return os.path.exists(f"{proc}/self/ns/user") and limit != "0"


def _rlimits() -> dict[str, int]:
    limits = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE":  # an alias of NOFILE
            hard = resource.getrlimit(getattr(resource, name))[1]
            limits[name] = UNLIMITED if hard == resource.RLIM_INFINITY else hard
    return limits


def _open_files(proc: str) -> int:
    text = _read(f"{proc}/sys/fs/nr_open").strip()
    return int(text) if text.isdigit() else UNLIMITED
