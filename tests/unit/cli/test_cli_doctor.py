"""The doctor's checks on hosts made of files: a healthy one, and one for each thing that can be wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cricket.cli.doctor import checks, disks
from cricket.cli.doctor.asking import Condition, Runtime
from cricket.cli.doctor.finding import Finding, Severity
from cricket.cli.doctor.host import Host
from cricket.cli.doctor.offline import Config, Files, Handler, Known, Networks, Output
from cricket.cli.doctor.report import show
from cricket.cli.main import main
from cricket.client.errors import UnreachableError
from cricket.config.model import Network

ID, OTHER = "a" * 64, "b" * 64
MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda rw
22 21 0:5 / /proc rw shared:2 - proc proc rw
23 21 0:6 / /run rw,nosuid,nodev shared:3 - tmpfs tmpfs rw
24 21 0:7 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate
"""
V1 = """\
24 21 0:7 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw
25 24 0:8 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
26 24 0:9 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
27 24 0:10 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
28 24 0:11 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
29 24 0:12 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
FILES = {
    "/proc/sys/kernel/osrelease": "6.12.3-generic\n",
    "/lib/modules/6.12.3-generic/modules.dep": "",
    "/proc/self/mountinfo": MOUNTS,
    "/proc/self/status": "Name:\tx\nCapBnd:\t000001ffffffffff\nSeccomp:\t0\n",
    "/proc/self/uid_map": "         0          0 4294967295\n",
    "/proc/filesystems": "nodev\tsysfs\nnodev\toverlay\n\text4\n",
    "/proc/sys/kernel/seccomp/actions_avail": "kill_process errno user_notif\n",
    "/proc/pressure/memory": "some\n",
    "/proc/swaps": "Filename Type Size Used Priority\n",
    "/proc/locks": "",
    "/proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids\n",
    "/sys/fs/cgroup/cgroup.subtree_control": "cpuset cpu io memory pids\n",
    "/run/systemd/system/x": "",
    "/etc/resolv.conf": "nameserver 10.0.0.2\n",
    "/usr/bin/crun": "",
    "/usr/bin/runc": "",
} | {f"/proc/self/ns/{kind}": "" for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time")}
SYSCTLS = {
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
    "fs.file-max": 9223372036854775807,
    "fs.file-nr": 4000,
    "kernel.pid_max": 4194304,
    "vm.max_map_count": 262144,
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.ipv4.conf.all.rp_filter": 2,
    "net.netfilter.nf_conntrack_max": 262144,
    "net.netfilter.nf_conntrack_count": 10,
    "user.max_user_namespaces": 60000,
    "user.max_net_namespaces": 60000,
}
OUTPUTS = {
    "crun": "crun version 1.21\n+SYSTEMD +SECCOMP +CRIU\n",
    "runc": "runc version 1.3.3\n",
    "conmon": "conmon version 2.1.12\n",
    "catatonit": "tini version 0.2.0_catatonit\n",
    "criu": "Version: 4.1\n",
    "criu check": "Looks good.\n",
    "iptables": "iptables v1.8.9 (nf_tables)\n",
    "new rule": "",
    "forward": "-P FORWARD ACCEPT\n",
    "unshare": "unshare from util-linux 2.38.1\n",
    "nsenter": "nsenter from util-linux 2.38.1\n",
}
BRIDGE: dict[str, Any] = {
    "type": "bridge",
    "bridge": "cni0",
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.85.0.0/24"}]]},
}
FEATURES = {"recursive_read_only": True, "user_namespaces": True, "idmap_mounts": True, "seccomp": True}
WORKING = {
    "crun": Handler("crun", "1.21", "", FEATURES),
    "runc": Handler("runc", "1.3.3", "", FEATURES),
}


class Fake(Host):
    """A host of files below a directory, without a daemon, on which nothing is wrong."""

    def __init__(self, root: Path, euid: int = 0) -> None:
        super().__init__("unix:///run/cricket/cricket.sock", "/etc/cricket/config.toml", str(root), euid)
        for path, text in FILES.items():
            self.write(path, text)
        for name, value in SYSCTLS.items():
            self.set(name, value)
        nobody = UnreachableError("the daemon cannot be reached")
        nobody.__cause__ = FileNotFoundError()
        self.facts(
            _answer=nobody,
            files=Files(Config(), (), (), ()),
            config=Config(),
            outputs={name: Output(0, text) for name, text in OUTPUTS.items()},
            handlers=WORKING,
            known=Known(frozenset((ID,)), frozenset((ID,))),
            networks=Networks("net", "/etc/cni/net.d/1.conflist", (), (), (), (BRIDGE,)),
        )

    def facts(self, **facts: Any) -> None:
        """Replace what would be asked or found out."""
        self.__dict__.update(facts)

    def write(self, path: str, text: str = "") -> None:
        target = Path(self.at(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def set(self, name: str, value: int) -> None:
        self.write("/proc/sys/" + name.replace(".", "/"), f"{value}\n")

    def remove(self, path: str) -> None:
        Path(self.at(path)).unlink()

    def say(self, program: str, text: str | None, code: int = 0) -> None:
        """What a program says; None when it is not installed."""
        outputs = {name: output for name, output in self.outputs.items() if name != program}
        self.facts(outputs=outputs if text is None else outputs | {program: Output(code, text)})

    def mount(self, *lines: str) -> None:
        self.write("/proc/self/mountinfo", MOUNTS + "".join(f"{line}\n" for line in lines))

    def age(self, path: str) -> None:
        """Make a directory that is older than what may be on its way."""
        os.makedirs(self.at(path), exist_ok=True)
        os.utime(self.at(path), (1000, 1000))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    def roomy(_host: Host, _path: str) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 10**8, 5 * 10**7, 5 * 10**7, 10**7, 9 * 10**6, 9 * 10**6, 0, 255))

    monkeypatch.setattr(disks, "_statvfs", roomy)
    monkeypatch.setattr("cricket.cli.doctor.programs._patched", lambda package, cve: False)
    return Fake(tmp_path)


def found(host: Host, *names: str) -> list[Finding]:
    return [f for f in checks.examine(host, checks.choose(names)) if f.severity is not Severity.OK]


def daemon(**told: Any) -> Runtime:
    """Cricket's daemon, ready and idle."""
    fields: dict[str, Any] = {
        "name": "cricket",
        "version": __import__("cricket").__version__,
        "conditions": (Condition("RuntimeReady", True, ""), Condition("NetworkReady", True, "")),
        "sandboxes": frozenset((ID,)),
        "containers": frozenset((ID,)),
        "config": {"root": "/var/lib/cricket"},
        "handlers": {},
        "default_handler": "crun",
        "cgroup_driver": "systemd",
        "path": "/etc/cricket/config.toml",
        "pid": 0,
    }
    return Runtime(**fields | told)


def test_a_healthy_host_without_a_daemon_gives_one_note(host: Fake) -> None:
    host.facts(known=Known(frozenset(), frozenset()))
    assert [(f.check, f.severity) for f in found(host)] == [("daemon", Severity.INFO)]
    assert len(checks.examine(host, checks.CHECKS)) > 45


def test_a_healthy_host_with_its_daemon_gives_none(host: Fake) -> None:
    host.facts(_answer=daemon())
    assert found(host) == []


def _v1(host: Fake) -> None:
    host.write("/proc/self/mountinfo", MOUNTS.replace(MOUNTS.splitlines(keepends=True)[3], V1))
    host.write("/sys/fs/cgroup/unified/cgroup.controllers", "")


def _hybrid(host: Fake) -> None:
    _v1(host)
    host.write("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n")
    host.say("crun", "crun version 1.8.1\n+CRIU\n")


def _swap(host: Fake) -> None:
    host.write("/proc/swaps", "Filename Type\n/dev/sdb partition 1 0 -2\n")
    host.write("/var/lib/kubelet/config.yaml", "containerRuntimeEndpoint: unix:///run/cricket/cricket.sock\n")


def _kubelet(host: Fake, text: str) -> None:
    host.write("/var/lib/kubelet/config.yaml", text)


def _networks(host: Fake, **changed: Any) -> None:
    host.facts(networks=host.networks._replace(**changed))


def _config(host: Fake, **changed: Any) -> None:
    host.facts(config=Config(**changed))


def _stray(host: Fake) -> None:
    host.age(f"/run/cricket/sandboxes/{OTHER}")
    host.age(f"/run/cricket/sandboxes/{ID}")
    host.mount(f"90 23 0:4 net:[1] /run/cricket/sandboxes/{OTHER}/ns/net rw - nsfs nsfs rw")


def _foreign_mounts(host: Fake) -> None:
    host.write("/run/old/daemon.lock")
    host.mount(f"90 23 0:4 net:[1] /run/old/sandboxes/{OTHER}/ns/net rw - nsfs nsfs rw")


def _reserved(host: Fake) -> None:
    for address, owner in (("10.85.0.2", ID), ("10.85.0.3", OTHER), ("10.85.0.4", "c" * 64)):
        host.write(f"/var/lib/cni/networks/net/{address}", f"{owner}\r\neth0")
    host.write(f"/var/lib/cni/results/other-{'c' * 64}-eth0", "{}")


def _ports(host: Fake) -> None:
    for port, owner in (("veth1", ID), ("veth2", OTHER)):
        host.write(f"/sys/class/net/cni0/brif/{port}")
        result = {"result": {"interfaces": [{"name": "cni0"}, {"name": port}]}}
        host.write(f"/var/lib/cricket/network/results/net-{owner}-eth0", json.dumps(result))


def _monitor(host: Fake) -> None:
    host.write("/proc/77/cmdline", f"/usr/bin/conmon\0-b\0/run/cricket/containers/{OTHER}\0")
    host.write("/proc/78/cmdline", f"/usr/bin/conmon\0-b\0/run/cricket/containers/{ID}\0")
    host.age("/proc/77")
    host.age("/proc/78")


def _old_cgroup(host: Fake) -> None:
    for name in (f"/a.slice/cri-cricket-{OTHER}.scope", f"/a.slice/cri-cricket-{ID}.scope", "/a.slice/x.scope"):
        host.age(f"/sys/fs/cgroup{name}")
        Path(host.at(f"/sys/fs/cgroup{name}/cgroup.procs")).touch()
        host.age(f"/sys/fs/cgroup{name}")


Wrong = Callable[[Fake], None]
WRONG: list[tuple[str, Severity, str, Wrong]] = [
    ("kernel-version", Severity.ERROR, "too old", lambda h: h.write("/proc/sys/kernel/osrelease", "4.19.0")),
    ("kernel-version", Severity.INFO, "id-mapped", lambda h: h.write("/proc/sys/kernel/osrelease", "5.10.0")),
    ("modules", Severity.WARNING, "another kernel", lambda h: h.write("/proc/sys/kernel/osrelease", "6.12.4")),
    ("namespaces", Severity.ERROR, "no IPC", lambda h: h.remove("/proc/self/ns/ipc")),
    ("namespaces", Severity.WARNING, "only 20", lambda h: h.set("user.max_net_namespaces", 20)),
    ("user-namespaces", Severity.WARNING, "turned off", lambda h: h.set("user.max_user_namespaces", 0)),
    ("user-namespaces", Severity.WARNING, "itself", lambda h: h.write("/proc/self/uid_map", "0 1000 65536")),
    ("overlayfs", Severity.WARNING, "not loaded", lambda h: h.write("/proc/filesystems", "\text4\n")),
    ("seccomp", Severity.WARNING, "no seccomp", lambda h: h.write("/proc/self/status", "CapBnd:\t1ffffffffff\n")),
    ("pressure", Severity.INFO, "no pressure", lambda h: h.remove("/proc/pressure/memory")),
    (
        "capabilities",
        Severity.WARNING,
        "CAP_SYS_RESOURCE",
        lambda h: h.write("/proc/self/status", "CapBnd:\t000001fffeffffff\nSeccomp:\t0\n"),
    ),
    (
        "capabilities",
        Severity.ERROR,
        "CAP_SYS_ADMIN",
        lambda h: h.write("/proc/self/status", "CapBnd:\t000001ffffdfffff\nSeccomp:\t0\n"),
    ),
    ("cgroup-version", Severity.WARNING, "hybrid", _v1),
    ("cgroup-version", Severity.ERROR, "no cgroups", lambda h: h.write("/proc/self/mountinfo", MOUNTS[:60])),
    (
        "cgroup-controllers",
        Severity.ERROR,
        "memory",
        lambda h: h.write("/sys/fs/cgroup/cgroup.controllers", "cpu cpuset pids"),
    ),
    (
        "cgroup-controllers",
        Severity.WARNING,
        "pids",
        lambda h: h.write("/sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory"),
    ),
    ("cgroup-split", Severity.ERROR, "hugetlb in v2", _hybrid),
    ("cgroup-driver", Severity.WARNING, "but systemd runs", lambda h: _config(h, cgroup_driver="cgroupfs")),
    (
        "cgroup-driver",
        Severity.ERROR,
        "does not run",
        lambda h: (_config(h, cgroup_driver="systemd"), h.facts(systemd=False))[0],
    ),
    (
        "cgroup-delegation",
        Severity.ERROR,
        "pids not delegated",
        lambda h: (
            h.write("/sys/fs/cgroup/cgroup.subtree_control", "cpuset cpu memory"),
            h.write("/sys/fs/cgroup/cgroup.type", "domain"),
            h.write("/sys/fs/cgroup/cgroup.procs", "1\n"),
        )[0],
    ),
    ("swap", Severity.WARNING, "swap is on", _swap),
    ("kubelet-swap", Severity.WARNING, "refuses", _swap),
    (
        "huge-pages",
        Severity.WARNING,
        "2048kB are reserved",
        lambda h: (
            h.write("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n"),
            h.write("/sys/fs/cgroup/cgroup.controllers", "cpu"),
        )[0],
    ),
    ("crun", Severity.INFO, "without CRIU", lambda h: h.say("crun", "crun version 1.21\n+SECCOMP")),
    ("crun", Severity.WARNING, "CVE-2022-27650", lambda h: h.say("crun", "crun version 1.4.3\n+CRIU")),
    ("crun", Severity.INFO, "one is enough", lambda h: h.say("crun", None)),
    ("runc", Severity.WARNING, "CVE-2024-21626", lambda h: h.say("runc", "runc version 1.1.11")),
    ("runc", Severity.WARNING, "CVE-2025-31133", lambda h: h.say("runc", "runc version 1.3.2")),
    (
        "runc",
        Severity.ERROR,
        "not installed",
        lambda h: h.facts(outputs={n: o for n, o in h.outputs.items() if n not in ("runc", "crun")}),
    ),
    ("conmon", Severity.ERROR, "not installed", lambda h: h.say("conmon", None)),
    ("conmon", Severity.ERROR, "too old", lambda h: h.say("conmon", "conmon version 2.0.20")),
    ("catatonit", Severity.WARNING, "not installed", lambda h: h.say("catatonit", None)),
    ("util-linux", Severity.WARNING, "nsenter", lambda h: h.say("nsenter", None)),
    ("criu", Severity.INFO, "not installed", lambda h: h.say("criu", None)),
    (
        "criu",
        Severity.INFO,
        "bad vdso",
        lambda h: h.say("criu check", "Error (criu/vdso.c:1): bad vdso\n", code=1),
    ),
    (
        "handlers",
        Severity.ERROR,
        "no runtime handler works",
        lambda h: h.facts(handlers={n: x._replace(problem="broken") for n, x in WORKING.items()}),
    ),
    (
        "handlers",
        Severity.WARNING,
        "handler crun does not work: hybrid",
        lambda h: h.facts(handlers=WORKING | {"crun": WORKING["crun"]._replace(problem="hybrid")}),
    ),
    (
        "handlers",
        Severity.INFO,
        "crun is not installed",
        lambda h: (
            h.remove("/usr/bin/crun"),
            h.facts(handlers=WORKING | {"crun": WORKING["crun"]._replace(problem="absent")}),
        )[0],
    ),
    (
        "handler-features",
        Severity.INFO,
        "no user namespaces",
        lambda h: h.facts(handlers={"crun": Handler("crun", "1", "", FEATURES | {"user_namespaces": False})}),
    ),
    (
        "apparmor",
        Severity.WARNING,
        "apparmor_parser",
        lambda h: h.write("/sys/module/apparmor/parameters/enabled", "Y\n"),
    ),
    ("selinux", Severity.WARNING, "not used", lambda h: h.write("/sys/fs/selinux/enforce", "1")),
    ("inotify", Severity.WARNING, "max_user_instances is 128", lambda h: h.set("fs.inotify.max_user_instances", 128)),
    ("open-files", Severity.WARNING, "fs.file-max", lambda h: h.set("fs.file-max", 8192)),
    ("open-files", Severity.ERROR, "of 4100 files", lambda h: h.set("fs.file-max", 4100)),
    ("process-ids", Severity.WARNING, "32768", lambda h: h.set("kernel.pid_max", 32768)),
    ("memory-maps", Severity.INFO, "65530", lambda h: h.set("vm.max_map_count", 65530)),
    ("file-system", Severity.ERROR, "overlay", lambda h: h.mount("30 21 0:3 / /var/lib rw - overlay overlay rw")),
    ("file-system", Severity.ERROR, "read-only", lambda h: h.mount("30 21 0:3 / /var/lib ro - ext4 /dev/sdb ro")),
    ("file-system", Severity.WARNING, "tmpfs", lambda h: h.mount("30 21 0:3 / /var/lib rw - tmpfs tmpfs rw")),
    (
        "d-type",
        Severity.ERROR,
        "ftype=0",
        lambda h: (
            h.mount("30 21 8:3 / /var/lib rw - xfs /dev/sdb rw"),
            h.say("xfs_info", "naming =version 2 ftype=0"),
        )[0],
    ),
    (
        "propagation",
        Severity.WARNING,
        "mounts at / are private",
        lambda h: h.write("/proc/self/mountinfo", MOUNTS.replace(" shared:1", "")),
    ),
    (
        "volume-mounts",
        Severity.WARNING,
        "noexec",
        lambda h: (
            h.write("/var/lib/kubelet/x"),
            h.mount("30 21 8:3 / /var rw,noexec - ext4 /dev/sdb rw"),
        )[0],
    ),
    ("network-config", Severity.ERROR, "no network", lambda h: _networks(h, name="", path="", plugins=())),
    ("network-config", Severity.WARNING, "/b is no", lambda h: _networks(h, broken=(("/b", "not JSON"),))),
    (
        "network-config",
        Severity.ERROR,
        "'mine'",
        lambda h: (
            _networks(h, name="", others=("/a",)),
            _config(h, network=Network(default_network="mine")),
        )[0],
    ),
    ("network-plugins", Severity.ERROR, "portmap", lambda h: _networks(h, missing=("portmap",))),
    (
        "subnet",
        Severity.WARNING,
        "eth1 (10.85.0.0/16)",
        lambda h: h.write("/proc/net/route", "head\neth1\t0000550A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"),
    ),
    (
        "addresses",
        Severity.WARNING,
        "240 of 253",
        lambda h: [h.write(f"/var/lib/cni/networks/net/10.85.0.{i}") for i in range(2, 242)][0],
    ),
    ("ip-forward", Severity.WARNING, "ip_forward is 0", lambda h: h.set("net.ipv4.ip_forward", 0)),
    (
        "ip-forward",
        Severity.WARNING,
        "ipv6",
        lambda h: (
            h.set("net.ipv6.conf.all.forwarding", 0),
            _networks(h, plugins=({"type": "ptp", "ipam": {"subnet": "fd00::/64"}},)),
        )[0],
    ),
    ("bridge-filter", Severity.WARNING, "is 0", lambda h: h.set("net.bridge.bridge-nf-call-iptables", 0)),
    (
        "bridge-filter",
        Severity.WARNING,
        "not there",
        lambda h: h.remove("/proc/sys/net/bridge/bridge-nf-call-iptables"),
    ),
    ("rp-filter", Severity.INFO, "strict", lambda h: h.set("net.ipv4.conf.all.rp_filter", 1)),
    ("connections", Severity.ERROR, "250000 of", lambda h: h.set("net.netfilter.nf_conntrack_count", 250000)),
    ("connections", Severity.INFO, "room for 1000", lambda h: h.set("net.netfilter.nf_conntrack_max", 1000)),
    ("iptables", Severity.WARNING, "not installed", lambda h: h.say("iptables", None)),
    ("iptables", Severity.ERROR, "cannot make a rule", lambda h: h.say("new rule", "no such table", code=3)),
    ("forward-policy", Severity.WARNING, "drops", lambda h: h.say("forward", "-P FORWARD DROP\n")),
    ("name-servers", Severity.WARNING, "127.0.0.1", lambda h: h.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")),
    (
        "name-servers",
        Severity.INFO,
        "127.0.0.53",
        lambda h: (
            h.write("/etc/resolv.conf", "nameserver 127.0.0.53\n"),
            h.write("/run/systemd/resolve/resolv.conf"),
        )[0],
    ),
    (
        "kubelet-endpoint",
        Severity.INFO,
        "not unix:///run/cricket/cricket.sock",
        lambda h: _kubelet(h, "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock"),
    ),
    (
        "kubelet-endpoint",
        Severity.INFO,
        "crio.sock",
        lambda h: h.write(
            "/var/lib/kubelet/kubeadm-flags.env",
            'KUBELET_KUBEADM_ARGS="--a=b --container-runtime-endpoint=unix:///run/crio.sock"',
        ),
    ),
    (
        "kubelet-endpoint",
        Severity.ERROR,
        "'tcp://x'",
        lambda h: h.write("/proc/9/cmdline", "/usr/bin/kubelet\0--container-runtime-endpoint\0tcp://x\0"),
    ),
    ("kubelet-cgroup-driver", Severity.WARNING, "cgroupfs, Cricket", lambda h: _kubelet(h, "cgroupDriver: cgroupfs")),
    ("kubelet-cgroup-version", Severity.WARNING, "v1", lambda h: (_kubelet(h, "a: b"), _v1(h))[0]),
    ("orphaned-pods", Severity.WARNING, "1 pod recorded", lambda h: None),
    ("state-left", Severity.WARNING, "1 directory of no recorded pod (with 1 mount)", _stray),
    ("mounts-left", Severity.INFO, "1 mount below /run/old", _foreign_mounts),
    ("cgroups-left", Severity.INFO, "1 empty cgroup of", _old_cgroup),
    ("monitors-left", Severity.WARNING, "pid 77", _monitor),
    ("addresses-left", Severity.WARNING, "1 address of net reserved for no pod: 10.85.0.3", _reserved),
    ("interfaces-left", Severity.INFO, "1 interface on cni0 of no pod: veth2", _ports),
    ("other-runtimes", Severity.INFO, "left over", lambda h: h.write("/run/crio/crio.sock")),
    ("daemon", Severity.WARNING, "left over", lambda h: h.write("/run/cricket/cricket.sock")),
    (
        "daemon",
        Severity.INFO,
        "the daemon is 0.0.1",
        lambda h: h.facts(_answer=daemon(version="0.0.1")),
    ),
    (
        "ready",
        Severity.ERROR,
        "NetworkReady is false: no network",
        lambda h: h.facts(_answer=daemon(conditions=(Condition("NetworkReady", False, "no network"),))),
    ),
    (
        "config-files",
        Severity.ERROR,
        "rot: unknown",
        lambda h: h.facts(files=Files(None, ("config.toml: rot: unknown",), (), ())),
    ),
    (
        "config-in-force",
        Severity.INFO,
        "limits.pids",
        lambda h: h.facts(_answer=daemon(config={"limits": {"pids": 77}})),
    ),
    (
        "config-in-force",
        Severity.INFO,
        "/other.toml",
        lambda h: h.facts(_answer=daemon(path="/other.toml")),
    ),
    (
        "credentials",
        Severity.WARNING,
        "/root/.docker/config.json",
        lambda h: h.write("/root/.docker/config.json", "{}"),
    ),
]


@pytest.mark.parametrize(
    ("check", "severity", "said", "wrong"), WRONG, ids=[f"{c}-{s.split()[0]}-{w[:12]}" for c, s, w, _ in WRONG]
)
def test_what_is_wrong_is_told_with_advice(host: Fake, check: str, severity: Severity, said: str, wrong: Wrong) -> None:
    wrong(host)
    findings = found(host, check)
    fitting = [f for f in findings if f.severity is severity and said in f"{f.what} {f.why}"]
    assert fitting, findings
    assert all(f.why or f.todo or f.command or f.severity is Severity.INFO for f in findings)
    for finding in findings:
        assert not finding.what.endswith(".") and "\n" not in finding.what
        shlex.split(finding.command)


def test_every_check_can_find_something() -> None:
    needs_a_disk = {"disk-space", "inodes", "socket-access"}
    assert {check.name for check in checks.CHECKS} == {name for name, *_ in WRONG} | needs_a_disk


def test_no_check_fails_on_an_empty_host(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "proc").mkdir(parents=True)
    host = Fake(tmp_path / "other")
    host._root = str(empty)
    for finding in checks.examine(host, checks.CHECKS):
        assert "check failed" not in finding.what and not finding.unseen, finding


def test_a_full_disk(host: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_host: Host, _path: str) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 10**8, 10, 10, 10**7, 5, 5, 0, 255))

    monkeypatch.setattr(disks, "_statvfs", full)
    assert [f.severity for f in found(host, "disk-space")] == [Severity.ERROR] * 2
    assert "5 of 10000000 inodes" in found(host, "inodes")[0].what


def test_who_may_open_the_socket(host: Fake) -> None:
    path = "/run/cricket/cricket.sock"
    host.write(path)
    os.chmod(host.at(path), 0o666)
    assert "everybody may open" in found(host, "socket-access")[0].what
    os.chmod(host.at(path), 0o600)
    assert found(host, "socket-access") == []


def test_young_things_are_on_their_way(host: Fake) -> None:
    os.makedirs(host.at(f"/run/cricket/sandboxes/{OTHER}"))
    assert found(host, "state-left") == []


def test_debian_mends_old_versions(host: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    host.say("runc", "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1")
    monkeypatch.setattr("cricket.cli.doctor.programs._patched", lambda package, cve: cve == "CVE-2024-21626")
    assert [f.what for f in found(host, "runc")] == ["runc 1.1.5 has CVE-2025-31133"]


def test_another_runtime_at_the_endpoint_is_not_cricket(host: Fake) -> None:
    host.facts(_answer=daemon(name="containerd", version="2.0", config={}, path="", cgroup_driver=""))
    assert [f for f in found(host) if "check failed" in f.what] == []
    assert found(host, "config-in-force", "daemon") == []
    _networks(host, name="", path="", plugins=())
    assert [f.severity for f in found(host, "network-config")] == [Severity.INFO]
    host.facts(_answer=daemon(conditions=(Condition("HasNoWarnings", False, "old"),)))
    assert [f.severity for f in found(host, "ready")] == [Severity.INFO]


def test_what_only_root_sees_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Fake(tmp_path, euid=1000)
    del host.__dict__["handlers"], host.__dict__["known"]
    unseen = [f for f in checks.examine(host, checks.CHECKS) if f.unseen]
    assert {"handlers", "state-left", "orphaned-pods"} <= {f.check for f in unseen}
    show(unseen, verbose=False)
    assert "for want of rights: handlers, " in capsys.readouterr().out


def test_a_check_that_breaks_does_not_stop_the_others(host: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_host: Host) -> Any:
        raise FileNotFoundError(2, "gone", "/proc/1")

    chosen = [checks.Check("a", "g", "?", broken), *checks.choose(["swap"])]
    first, second = checks.examine(host, chosen)
    assert first.unseen and "/proc/1" in first.what and second.severity is Severity.OK


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_lines_keep_to_the_terminal_but_for_commands(
    host: Fake, width: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    host.set("fs.inotify.max_user_instances", 128)
    host.say("crun", "crun version 1.8.1\n")
    show(checks.examine(host, checks.CHECKS), verbose=True)
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.startswith("      ")]
    assert any("sysctl -w fs.inotify.max_user_instances=8192" in line for line in commands)
    assert all(len(line) <= min(110, int(width)) for line in lines if line not in commands)
    assert not any("\x1b" in line for line in lines)


def test_colours_on_a_terminal(host: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.cli.doctor.report.colourful", lambda: True)
    host.set("kernel.pid_max", 32768)
    show(found(host, "process-ids"), verbose=False)
    said = capsys.readouterr().out
    assert "\x1b[33m!\x1b[0m kernel.pid_max is 32768" in said and "1 warning" in said


def test_names_of_checks_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert {c.name for c in checks.choose(["kernel", "swap"])} > {"swap", "seccomp"}
    assert main(["doctor", "kernle"]) == 2
    assert "did you mean kernel?" in capsys.readouterr().err
    assert main(["doctor", "--list", "-o", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)["checks"]
    assert [c["check"] for c in listed] == [c.name for c in checks.CHECKS] and all(
        c["question"].endswith("?") for c in listed
    )
    assert all(re.fullmatch(r"[a-z][a-z-]*", c["check"]) for c in listed)


def test_exit_codes(host: Fake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cricket.cli.doctor.host.Host", lambda endpoint, path: host)
    assert main(["doctor", "process-ids"]) == 0
    host.set("kernel.pid_max", 32768)
    assert main(["doctor", "process-ids"]) == 0 and main(["doctor", "--strict", "process-ids"]) == 1
    host.say("conmon", None)
    capsys.readouterr()
    assert main(["doctor", "-o", "json", "conmon"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["check"] == "conmon" and finding["severity"] == "error" and finding["why"]
