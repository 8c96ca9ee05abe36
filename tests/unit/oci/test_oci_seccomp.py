"""Seccomp profiles."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci import seccomp_data as data
from cricket.oci.capability_names import CAPABILITIES
from cricket.oci.host import HostFacts
from cricket.oci.seccomp import choose, default_profile
from cricket.oci.seccomp_profile import from_profile, parse_profile
from cricket.types.security import ProfileType, SecurityProfile

HOST = HostFacts(kernel=(6, 1))
DEFAULT = SecurityProfile(type=ProfileType.RUNTIME_DEFAULT)
LOCAL = SecurityProfile(type=ProfileType.LOCALHOST, localhost_ref="/p.json")


def allowed(profile: dict[str, Any]) -> set[str]:
    """Names that are allowed without looking at arguments."""
    rules = profile["syscalls"]
    return {n for r in rules if r["action"] == "SCMP_ACT_ALLOW" and not r.get("args") for n in r["names"]}


def test_which_profile() -> None:
    assert choose(None, False, None, (), HOST) is None
    assert choose(SecurityProfile(type=ProfileType.UNCONFINED), False, None, (), HOST) is None
    assert choose(DEFAULT, True, None, (), HOST) is None
    assert choose(DEFAULT, False, None, (), HOST) == default_profile((), "x86_64", (6, 1))
    custom = {"defaultAction": "SCMP_ACT_LOG"}
    assert choose(DEFAULT, False, custom, (), HOST) == {**custom, "syscalls": []}
    assert choose(LOCAL, False, custom, (), HOST) == {**custom, "syscalls": []}
    with pytest.raises(InvalidArgument, match="not read"):
        choose(LOCAL, False, None, (), HOST)
    with pytest.raises(FailedPrecondition, match="no seccomp"):
        choose(DEFAULT, False, None, (), HostFacts(seccomp=False))


def test_the_default_without_capabilities() -> None:
    profile = default_profile((), "x86_64", (6, 1))
    names = allowed(profile)
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["architectures"][0] == "SCMP_ARCH_X86_64"
    assert {"read", "openat2", "arch_prctl", "ptrace", "futex_waitv"} <= names
    forbidden = (
        "mount unshare setns bpf clone clone3 socket personality keyctl add_key io_uring_setup userfaultfd reboot"
    )
    assert not set(forbidden.split()) & names
    rules = {r["names"][0]: r for r in profile["syscalls"]}
    assert rules["clone3"]["errnoRet"] == 38
    assert rules["clone"]["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]


def socket_allowed(profile: dict[str, Any], family: int) -> bool:
    compare = {"SCMP_CMP_LT": int.__lt__, "SCMP_CMP_EQ": int.__eq__, "SCMP_CMP_GT": int.__gt__}
    rules = [r for r in profile["syscalls"] if r["names"] == ["socket"]]
    return any(compare[r["args"][0]["op"]](family, r["args"][0]["value"]) for r in rules)


def test_socket_families() -> None:
    profile = default_profile((), "x86_64", (6, 1))
    assert [f for f in range(64) if not socket_allowed(profile, f)] == [38, 40]


@pytest.mark.parametrize("capability", sorted(data.BY_CAPABILITY))
def test_a_capability_opens_its_calls(capability: str) -> None:
    assert capability in CAPABILITIES
    names = set(data.words(data.BY_CAPABILITY[capability]))
    base = allowed(default_profile((), "x86_64", (4, 7)))
    opened = allowed(default_profile({capability}, "x86_64", (4, 7)))
    assert opened - base == names - base


def test_an_administrator_may_clone_anything() -> None:
    profile = default_profile({"CAP_SYS_ADMIN"}, "x86_64", (6, 1))
    assert {"clone", "clone3", "mount"} <= allowed(profile)
    assert all(r["action"] == "SCMP_ACT_ALLOW" for r in profile["syscalls"])


def test_other_architectures_and_old_kernels() -> None:
    s390 = default_profile((), "s390x", (6, 1))
    assert next(r for r in s390["syscalls"] if r["names"] == ["clone"])["args"][0]["index"] == 1
    assert "architectures" not in default_profile((), "vax", (6, 1))
    assert "ptrace" not in allowed(default_profile((), "x86_64", (4, 7)))


def test_data_has_no_duplicates() -> None:
    names = data.words(data.ALWAYS)
    assert len(names) == len(set(names)) == 363


def test_dockers_form() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64"},
        ],
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "comment": "plain", "includes": {}, "excludes": {}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
            {"names": ["e"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["f"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
            {
                "name": "g",
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 5,
                "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }

    def names(*caps: str) -> list[str]:
        return [r["names"][0] for r in from_profile(profile, caps, HOST)["syscalls"]]

    assert names() == ["a", "c", "d", "g"]
    assert names("CAP_BPF") == ["a", "b", "d", "g"]
    result = from_profile(profile, (), HOST)
    assert result["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert result["defaultErrnoRet"] == 1
    assert result["syscalls"][-1] == {
        "names": ["g"],
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": 5,
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ", "valueTwo": 0}],
    }


def test_ocis_form_passes_through() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/x",
        "listenerMetadata": "m",
        "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG"}],
    }
    assert from_profile(parse_profile(msgspec.json.encode(profile), "/p"), (), HOST) == profile


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"defaultAction": 1}',
        b'{"defaultAction": "X", "syscalls": [{"names": "a", "action": "b"}]}',
        b"\xff",
        b"[" * 100000,
        b" " * (5 << 20),
    ],
)
def test_broken_files(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"/p\.json"):
        parse_profile(content, "/p.json")


def test_a_rule_without_names() -> None:
    with pytest.raises(InvalidArgument, match="names no system call"):
        from_profile({"defaultAction": "A", "syscalls": [{"action": "B"}]}, (), HOST)
