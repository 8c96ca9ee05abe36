"""A pod as a whole."""

from __future__ import annotations

from cricket.kubelet.manifest.finding import Finding, Findings, Path, one_of
from cricket.kubelet.model.base import ObjectMeta
from cricket.kubelet.model.pod import PodDNSConfig, PodSpec
from cricket.kubelet.validate import names, resources, security, volumes
from cricket.kubelet.validate.container import containers


def metadata(path: Path, value: ObjectMeta, template: bool = False) -> Findings:
    """Name, namespace, labels, annotations; a template has no name of its own."""
    if not template:
        yield from names.subdomain((*path, "name"), value.name)
    if value.generate_name and not template:
        yield Finding((*path, "generateName"), "not supported: an object needs a name that stays")
    if value.namespace:
        yield from names.label((*path, "namespace"), value.namespace)
    if value.uid and (len(value.uid) > 64 or not value.uid.replace("-", "").isalnum() or not value.uid.isascii()):
        yield Finding((*path, "uid"), f'"{value.uid}" is no uid: letters, digits and -')
    yield from names.label_map((*path, "labels"), value.labels)
    yield from names.annotation_map((*path, "annotations"), value.annotations)


def spec(path: Path, value: PodSpec) -> Findings:
    """Everything below `spec`."""
    yield from volumes.volumes((*path, "volumes"), value)
    yield from containers(path, value)
    yield from one_of((*path, "restartPolicy"), value.restart_policy, ("Always", "OnFailure", "Never"))
    yield from names.at_least((*path, "terminationGracePeriodSeconds"), value.termination_grace_period_seconds, 0)
    if value.active_deadline_seconds is not None:
        yield from names.at_least((*path, "activeDeadlineSeconds"), value.active_deadline_seconds, 1)
    yield from security.pod((*path, "securityContext"), value.security_context, value)
    yield from _namespaces(path, value)
    yield from _names(path, value)
    yield from _dns(path, value)
    yield from resources.amounts((*path, "overhead"), value.overhead)
    yield from resources.pod_level((*path, "resources"), value)
    if value.os is not None:
        yield from one_of((*path, "os", "name"), value.os.name, ("linux",))


def _namespaces(path: Path, value: PodSpec) -> Findings:
    if value.share_process_namespace and value.host_pid:
        yield Finding((*path, "shareProcessNamespace"), "it excludes hostPID: true")
    if value.host_users is False:
        for field, on in (
            ("hostNetwork", value.host_network),
            ("hostPID", value.host_pid),
            ("hostIPC", value.host_ipc),
        ):
            if on:
                yield Finding((*path, field), "true excludes hostUsers: false")


def _names(path: Path, value: PodSpec) -> Findings:
    for field, name in (("hostname", value.hostname), ("subdomain", value.subdomain)):
        if name:
            yield from names.label((*path, field), name)
    if value.hostname_override is not None:
        yield from names.subdomain((*path, "hostnameOverride"), value.hostname_override)
        if len(value.hostname_override) > 64:
            yield Finding((*path, "hostnameOverride"), "the kernel takes 64 characters")
        for field, on in (("setHostnameAsFQDN", value.set_hostname_as_fqdn), ("hostNetwork", value.host_network)):
            if on:
                yield Finding((*path, "hostnameOverride"), f"it excludes {field}: true")
    if value.runtime_class_name:
        yield from names.subdomain((*path, "runtimeClassName"), value.runtime_class_name)
    for i, secret in enumerate(value.image_pull_secrets):
        yield from names.subdomain((*path, "imagePullSecrets", i, "name"), secret.name)
    for i, alias in enumerate(value.host_aliases):
        yield from names.address((*path, "hostAliases", i, "ip"), alias.ip)
        for k, name in enumerate(alias.hostnames):
            yield from names.subdomain((*path, "hostAliases", i, "hostnames", k), name)


def _dns(path: Path, value: PodSpec) -> Findings:
    policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    yield from one_of((*path, "dnsPolicy"), value.dns_policy, policies)
    config = value.dns_config or PodDNSConfig()
    here = (*path, "dnsConfig")
    if value.dns_policy == "None" and not config.nameservers:
        yield Finding((*here, "nameservers"), "required value: dnsPolicy is None")
    if len(config.nameservers) > 3:
        yield Finding((*here, "nameservers"), "resolv.conf takes 3")
    for i, server in enumerate(config.nameservers):
        yield from names.address((*here, "nameservers", i), server)
    if len(config.searches) > 32:
        yield Finding((*here, "searches"), "at most 32")
    for i, search in enumerate(config.searches):
        if search != ".":
            yield from names.subdomain((*here, "searches", i), search.removesuffix(".").replace("_", "-"))
    for i, option in enumerate(config.options):
        if not option.name:
            yield Finding((*here, "options", i, "name"), "required value")
