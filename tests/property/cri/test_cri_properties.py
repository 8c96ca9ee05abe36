"""Round trips of configurations, and lists made of cached bytes."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cricket._proto.cri import api_pb2 as pb
from cricket.cri.convert_container import container_config_from, container_config_to, container_item, container_status
from cricket.cri.convert_image import auth_from, auth_to
from cricket.cri.convert_sandbox import sandbox_config_from, sandbox_config_to
from cricket.cri.framing import ItemCache, batches, framed
from cricket.types.container import (
    Container,
    ContainerConfig,
    ContainerMetadata,
    ContainerState,
    Propagation,
    VolumeMount,
)
from cricket.types.image import RegistryAuth
from cricket.types.resources import Device, Hugepage, Resources
from cricket.types.sandbox import Dns, PortMapping, Protocol, SandboxConfig, SandboxMetadata
from cricket.types.security import (
    Capabilities,
    ContainerSecurity,
    GroupsPolicy,
    IdMapping,
    NamespaceMode,
    NamespaceOptions,
    ProfileType,
    SandboxSecurity,
    SecurityProfile,
    SELinux,
    UserNamespace,
)

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
names = words.filter(bool)
maps = st.dictionaries(words, words, max_size=3)
int64 = st.integers(-(2**63), 2**63 - 1)
natural = st.integers(0, 2**63 - 1)
uint32 = st.integers(0, 2**32 - 1)


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


resources = st.builds(
    Resources,
    cpu_period=natural,
    cpu_quota=int64,
    cpu_shares=natural,
    memory_limit=int64,
    memory_swap_limit=int64,
    oom_score_adj=int64,
    cpuset_cpus=words,
    cpuset_mems=words,
    hugepages=several(st.builds(Hugepage, names, st.integers(0, 2**64 - 1))),
    unified=maps,
)
mappings = several(st.builds(IdMapping, uint32, uint32, uint32))
modes = st.sampled_from(NamespaceMode)
namespaces = st.builds(
    NamespaceOptions,
    network=modes,
    pid=modes,
    ipc=modes,
    target_id=words,
    userns=optional(st.builds(UserNamespace, modes, mappings, mappings)),
)
profiles = st.builds(SecurityProfile, st.sampled_from(ProfileType), names)
selinux = st.builds(SELinux, words, words, words, words)
user = st.fixed_dictionaries({"run_as_user": int64, "run_as_group": optional(int64)})
shared = {
    "namespaces": namespaces,
    "selinux": optional(selinux),
    "readonly_rootfs": st.booleans(),
    "supplemental_groups": several(int64),
    "groups_policy": st.sampled_from(GroupsPolicy),
    "privileged": st.booleans(),
    "seccomp": optional(profiles),
    "apparmor": optional(profiles),
}
sandbox_security = st.builds(lambda u, **k: SandboxSecurity(**u, **k), user | st.just({}), **shared)
container_security = st.builds(
    lambda u, **k: ContainerSecurity(**u, **k),
    user | st.just({}),
    capabilities=st.builds(Capabilities, several(words), several(words), several(words)),
    run_as_username=words,
    no_new_privs=st.booleans(),
    masked_paths=several(words),
    readonly_paths=several(words),
    **shared,
)
ports = st.integers(0, 65535)
sandbox_configs = st.builds(
    SandboxConfig,
    metadata=st.builds(SandboxMetadata, names, names, names, uint32),
    hostname=words,
    log_directory=words,
    dns=optional(st.builds(Dns, several(words), several(words), several(words))),
    port_mappings=several(st.builds(PortMapping, st.sampled_from(Protocol), ports, ports, words)),
    labels=maps,
    annotations=maps,
    cgroup_parent=words,
    security=sandbox_security,
    sysctls=maps,
    overhead=optional(resources),
    resources=optional(resources),
)
mount_sources = st.fixed_dictionaries({"host_path": names}) | st.fixed_dictionaries(
    {"image": names, "image_sub_path": words}
)
mounts = st.builds(
    lambda source, **k: VolumeMount(**source, **k),
    mount_sources,
    container_path=names,
    readonly=st.booleans(),
    selinux_relabel=st.booleans(),
    propagation=st.sampled_from(Propagation),
    uid_mappings=mappings,
    gid_mappings=mappings,
    recursive_read_only=st.booleans(),
    options=several(words),
)
environment = st.tuples(names.filter(lambda n: "=" not in n), words)
container_configs = st.builds(
    ContainerConfig,
    metadata=st.builds(ContainerMetadata, names, uint32),
    image=names,
    user_image=words,
    image_annotations=maps,
    command=several(words),
    args=several(words),
    working_dir=words,
    env=several(environment),
    mounts=several(mounts),
    devices=several(st.builds(Device, names, names, st.sampled_from(["r", "rw", "rwm", "m"]))),
    cdi_devices=several(names),
    labels=maps,
    annotations=maps,
    log_path=words,
    stdin=st.booleans(),
    stdin_once=st.booleans(),
    tty=st.booleans(),
    resources=resources,
    security=container_security,
    stop_signal=st.sampled_from(["", "SIGTERM", "SIGRTMIN+15", "SIGRTMAX-1"]),
)


@given(sandbox_configs)
def test_sandbox_configs_come_back(config: SandboxConfig) -> None:
    wire = sandbox_config_to(config).SerializeToString()
    assert sandbox_config_from(pb.PodSandboxConfig.FromString(wire)) == config


@given(container_configs)
def test_container_configs_come_back(config: ContainerConfig) -> None:
    wire = container_config_to(config).SerializeToString()
    assert container_config_from(pb.ContainerConfig.FromString(wire)) == config


@given(st.builds(RegistryAuth, *[words] * 6))
def test_credentials_come_back(auth: RegistryAuth) -> None:
    found = auth_from(pb.PullImageRequest(auth=auth_to(auth)))
    assert found == (auth if auth != RegistryAuth() else None)


@given(st.binary(max_size=400) | st.integers(0, 70_000).map(bytes), st.sampled_from([1, 2, 3]))
def test_framing_is_protobufs(payload: bytes, field: int) -> None:
    # ExecSyncResponse has length-delimited fields 1 and 2; PodSandboxStatusResponse's 3 skips as unknown there.
    message = pb.ExecSyncResponse.FromString(framed(payload, field))
    assert {1: message.stdout, 2: message.stderr, 3: payload}[field] == payload


def _container(name: int, version: int) -> Container:
    config = ContainerConfig(ContainerMetadata(f"c{name}"), labels={"version": str(version)} if version % 3 else {})
    state = list(ContainerState)[version % 6]
    return Container(f"id{name}", "box", config, state, version, exit_code=version % 5)


steps = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "same", "list", "prune"]), st.integers(0, 5), st.integers(0, 9)),
    max_size=40,
)


@given(steps)
def test_cached_lists_equal_fresh_ones(moves: list[tuple[str, int, int]]) -> None:
    cache, statuses = ItemCache(container_item), ItemCache(container_status)
    records: dict[str, Container] = {}
    for move, name, version in moves:
        key = f"id{name}"
        if move == "put":
            records[key] = _container(name, version)
        elif move == "drop":
            records.pop(key, None)
        elif move == "same" and key in records:
            records[key] = msgspec.structs.replace(records[key])
        elif move == "prune":
            cache.prune(list(records.values()))
        current = list(records.values())
        fresh = pb.ListContainersResponse(containers=[container_item(r) for r in current])
        assert pb.ListContainersResponse.FromString(cache.joined(current)) == fresh
        chosen = current[::2]
        streamed = [pb.StreamContainersResponse.FromString(b) for b in batches(cache.items(chosen), 60)]
        assert all(m.containers for m in streamed)
        assert [c for m in streamed for c in m.containers] == list(fresh.containers)[::2]
        for record in chosen:
            status = pb.PodSandboxStatusResponse.FromString(statuses.element(record, 3))
            assert len(status.containers_statuses) == 1 and status.containers_statuses[0].id == record.id


def test_prune_forgets_what_is_gone() -> None:
    cache = ItemCache(container_item)
    many = [_container(i, 1) for i in range(100)]
    cache.items(many)
    cache.prune(many[:3])
    assert len(cache._items) == 3
