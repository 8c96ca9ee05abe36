"""A container's runtime spec (OCI runtime-spec config.md): one pure function over `SpecInputs`."""

from __future__ import annotations

from cricket.errors import InvalidArgument
from cricket.oci import apparmor, check, process, seccomp
from cricket.oci.annotations import allowed, container_annotations
from cricket.oci.capabilities import process_capabilities
from cricket.oci.cgroup import cgroups_path
from cricket.oci.devices import container_devices, device_mounts, device_rules
from cricket.oci.inputs import JsonDict, SpecInputs
from cricket.oci.mounts import container_mounts, depth, root_propagation
from cricket.oci.namespaces import check_same_user_namespace, container_namespaces, id_mappings
from cricket.oci.resources import linux_resources, oom_score_adj


def container_spec(inputs: SpecInputs) -> JsonDict:
    """The spec as plain values for JSON; CDI devices, OCI hooks and NRI adjust it afterwards.

    Raises InvalidArgument that names the field for what contradicts itself or is out of range, FailedPrecondition,
    PermissionDenied, Unimplemented and RROUnsupported for what this host, daemon or runtime cannot do.
    """
    config, sandbox = inputs.config, inputs.sandbox.config
    if inputs.privileged and not sandbox.security.privileged:
        raise InvalidArgument("a privileged container needs a privileged sandbox", where=inputs.sandbox.id)
    check_same_user_namespace(sandbox.security.namespaces, config.security.namespaces)
    capabilities = process_capabilities(config.security, inputs.host.capabilities, inputs.handler.default_capabilities)
    return {
        "ociVersion": inputs.handler.features.oci_version,
        "process": _process(inputs, capabilities),
        "root": {"path": inputs.rootfs, "readonly": config.security.readonly_rootfs},
        "mounts": _mounts(inputs),
        "annotations": {
            **allowed(sandbox.annotations, inputs.handler.pod_annotations),
            **allowed(config.annotations, inputs.handler.container_annotations),
            **container_annotations(inputs.sandbox, config.metadata.name, inputs.image_name),
        },
        "linux": _linux(inputs, capabilities["bounding"]),
    }


def _process(inputs: SpecInputs, capabilities: dict[str, list[str]]) -> JsonDict:
    config, security = inputs.config, inputs.config.security
    result: JsonDict = {
        "args": process.command(config, inputs.image),
        "env": process.environment(config, inputs.image, inputs.sandbox.config.hostname or inputs.host.hostname),
        "cwd": process.working_directory(config, inputs.image),
        "terminal": config.tty,
        "user": process.user(inputs.user),
        "capabilities": capabilities,
        "noNewPrivileges": security.no_new_privs,
        "oomScoreAdj": oom_score_adj(config.resources.oom_score_adj, inputs.host),
    }
    limits = process.rlimits(inputs.handler, inputs.host)
    if limits:
        result["rlimits"] = limits
    profile = apparmor.choose(security.apparmor, inputs.privileged, inputs.host, inputs.handler.apparmor_profile)
    if profile:
        result["apparmorProfile"] = profile
    if inputs.selinux.process:
        result["selinuxLabel"] = inputs.selinux.process
    return result


def _mounts(inputs: SpecInputs) -> list[JsonDict]:
    mounts, devices = container_mounts(inputs), device_mounts(inputs)
    return sorted(mounts + devices, key=lambda m: depth(m["destination"])) if devices else mounts


def _linux(inputs: SpecInputs, bounding: list[str]) -> JsonDict:
    config, security = inputs.config, inputs.config.security
    resources = linux_resources(config.resources, inputs.host)
    resources["devices"] = device_rules(inputs)
    if inputs.handler.pids_limit > 0:
        resources["pids"] = {"limit": inputs.handler.pids_limit}
    parent = inputs.sandbox.config.cgroup_parent
    result: JsonDict = {
        "namespaces": container_namespaces(inputs),
        "resources": resources,
        "cgroupsPath": cgroups_path(parent, inputs.id, inputs.handler.cgroup_driver),
        "devices": container_devices(inputs),
        "maskedPaths": _paths(inputs, security.masked_paths, "masked_paths"),
        "readonlyPaths": _paths(inputs, security.readonly_paths, "readonly_paths"),
    }
    if inputs.sysctls:
        result["sysctl"] = dict(inputs.sysctls)
    propagation = root_propagation(inputs)
    if propagation:
        result["rootfsPropagation"] = propagation
    profile = seccomp.choose(security.seccomp, inputs.privileged, inputs.seccomp, bounding, inputs.host)
    if profile:
        result["seccomp"] = profile
    userns = security.namespaces.userns
    if inputs.in_userns and userns is not None:
        result["uidMappings"] = id_mappings(userns.uids)
        result["gidMappings"] = id_mappings(userns.gids)
    if inputs.selinux.mount:
        result["mountLabel"] = inputs.selinux.mount
    return result


def _paths(inputs: SpecInputs, paths: tuple[str, ...], field: str) -> list[str]:
    """The kubelet says what to mask (procMount), so the lists are taken as they are; the privileged see everything."""
    return [] if inputs.privileged else [check.absolute_path(p, field) for p in paths]
