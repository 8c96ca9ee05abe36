"""Every section and key of the configuration, with its default and its meaning.

Times are in seconds and sizes in bytes unless a key says otherwise. A reload makes a new `Config`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from cricket.config.key import Key, live

MIB = 1 << 20


class Log(msgspec.Struct, frozen=True):
    """The daemon's own log, on standard error."""

    level: Annotated[str, live("The least severe messages to log.", choices=("debug", "info", "warning", "error"))] = (
        "info"
    )
    format: Annotated[str, Key("Lines for people, or one JSON object a line.", choices=("text", "json"))] = "text"


class Handler(msgspec.Struct, frozen=True):
    """An OCI runtime that pods choose by RuntimeClass. `crun` and `runc` are built in; others name a path."""

    path: Annotated[str, Key("The runtime's binary; a name without a slash is looked up in PATH.")] = ""
    root: Annotated[str, Key("The runtime's state directory; empty means `<state>/runtime/<name>`.", absolute=True)] = (
        ""
    )
    privileged_without_host_devices: Annotated[
        bool, Key("Privileged containers get all capabilities, but not the host's devices.")
    ] = False
    allowed_annotations: Annotated[
        tuple[str, ...], Key("Pod annotations (globs) that are copied to the runtime's spec.")
    ] = ()
    container_annotations: Annotated[
        tuple[str, ...], Key("Container annotations (globs) that are copied to the runtime's spec.")
    ] = ()


def built_in_handlers() -> dict[str, Handler]:
    """The handlers that exist without a word in any file."""
    return {"crun": Handler(path="crun"), "runc": Handler(path="runc")}


class Monitor(msgspec.Struct, frozen=True):
    """conmon, which holds each container's streams and exit code."""

    path: Annotated[str, live("The conmon binary; a name without a slash is looked up in PATH.")] = "conmon"
    log_size_max: Annotated[
        int, live("Bytes after which conmon truncates a container's log; -1: never, the kubelet rotates.", low=-1)
    ] = -1


class Images(msgspec.Struct, frozen=True):
    """Pulling and storing images."""

    max_concurrent_downloads: Annotated[int, live("Layers of one image downloaded at a time.", low=1, high=64)] = 3
    max_concurrent_pulls: Annotated[int, live("Images pulled at a time; others wait.", low=1, high=256)] = 5
    progress_timeout: Annotated[
        float, live("Seconds without a received byte after which a pull fails; 0: never.", low=0)
    ] = 300.0
    keep_blobs: Annotated[
        bool,
        Key("Keep compressed layers beside the unpacked ones: for save, repair, and recovery after power loss."),
    ] = True
    pinned: Annotated[
        tuple[str, ...],
        live("Images (references, or globs like `registry.k8s.io/pause:*`) that the kubelet must not collect."),
    ] = ()
    docker_configs: Annotated[
        tuple[str, ...],
        live("Files with credentials in Docker's config.json form; the first with an entry wins.", absolute=True),
    ] = ("/etc/cricket/auth.json", "/var/lib/kubelet/config.json", "/root/.docker/config.json")
    certs_dirs: Annotated[
        tuple[str, ...], live("Directories in containerd's hosts.toml layout, first match wins.", absolute=True)
    ] = ("/etc/cricket/certs.d", "/etc/containerd/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d")
    registries_conf: Annotated[
        tuple[str, ...],
        live("Files in the registries.conf layout; each is read with the directory `<file>.d`.", absolute=True),
    ] = ("/etc/containers/registries.conf",)
    gc_interval: Annotated[float, live("Seconds between sweeps for blobs that no image uses; 0: never.", low=0)] = (
        3600.0
    )
    gc_min_age: Annotated[float, live("Seconds for which a blob without an image is left alone.", low=0)] = 3600.0


class Network(msgspec.Struct, frozen=True):
    """CNI."""

    conf_dirs: Annotated[
        tuple[str, ...], live("Directories of CNI configurations; the first file by name counts.", absolute=True)
    ] = ("/etc/cni/net.d",)
    bin_dirs: Annotated[tuple[str, ...], live("Directories of CNI plugins, searched in order.", absolute=True)] = (
        "/opt/cni/bin",
        "/usr/lib/cni",
    )
    cache_dir: Annotated[
        str, Key("Results of CNI calls, needed to undo them; empty means `<root>/network`.", absolute=True)
    ] = ""
    default_network: Annotated[str, live("Name of the CNI network to use; empty: the first by file name.")] = ""
    conf_template: Annotated[
        str,
        live(
            "A template from which the CNI configuration is written when the kubelet tells the pod CIDR; empty: none.",
            absolute=True,
        ),
    ] = ""
    plugin_timeout: Annotated[float, live("Seconds that one plugin call may take.", low=1)] = 120.0
    builtin_plugins: Annotated[
        bool,
        live(
            "Standard CNI plugins run inside the daemon where it understands every key of their configuration. Turn it"
            " off when executables of your own bear their names."
        ),
    ] = True
    warm_sandboxes: Annotated[
        int,
        live(
            "Sandboxes kept ready with namespaces and an address of the network, so that pods start faster; 0: none."
            " Only for networks of standard plugins that treat all pods alike.",
            low=0,
            high=256,
        ),
    ] = 0


class Streaming(msgspec.Struct, frozen=True):
    """The HTTP server behind exec, attach and port-forward."""

    address: Annotated[str, Key("The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Key("The port; 0: one that is free.", low=0, high=65535)] = 0
    tls_cert: Annotated[str, Key("A PEM certificate (chain); with it the server speaks TLS.", absolute=True)] = ""
    tls_key: Annotated[str, Key("The certificate's PEM key.", absolute=True)] = ""
    idle_timeout: Annotated[float, live("Seconds without traffic after which a stream is closed; 0: never.", low=0)] = (
        14400.0
    )
    creation_timeout: Annotated[float, live("Seconds that a client has to open its streams.", low=1)] = 30.0
    base_url: Annotated[
        str, Key("What the URLs begin with when clients reach the server by another name, like https://node:10010.")
    ] = ""


class Metrics(msgspec.Struct, frozen=True):
    """The Prometheus endpoint."""

    address: Annotated[str, Key("host:port to listen on, like 127.0.0.1:9102; empty: no endpoint.")] = ""


class Nri(msgspec.Struct, frozen=True):
    """Node Resource Interface: plugins that adjust containers."""

    enable: Annotated[bool, Key("Serve NRI.")] = True
    socket: Annotated[str, Key("The socket that external plugins connect to.", absolute=True)] = "/var/run/nri/nri.sock"
    allow_external: Annotated[bool, Key("Accept plugins at the socket, not only pre-installed ones.")] = True
    plugin_path: Annotated[str, Key("Pre-installed plugins, started with the daemon.", absolute=True)] = (
        "/opt/nri/plugins"
    )
    plugin_config_path: Annotated[str, Key("Their configurations.", absolute=True)] = "/etc/nri/conf.d"
    registration_timeout: Annotated[float, Key("Seconds that a plugin has to register.", low=0.1)] = 5.0
    request_timeout: Annotated[float, Key("Seconds that a plugin has to answer.", low=0.1)] = 2.0
    validate: Annotated[bool, Key("Apply the rules below (`reject_*`, `required_plugins`) to every new container.")] = (
        False
    )
    reject_hooks: Annotated[bool, Key("Plugins may not add OCI hooks.")] = False
    reject_runtime_default_seccomp: Annotated[bool, Key("Plugins may not replace the RuntimeDefault profile.")] = False
    reject_unconfined_seccomp: Annotated[bool, Key("Plugins may not give an Unconfined container a profile.")] = False
    reject_custom_seccomp: Annotated[bool, Key("Plugins may not replace a Localhost profile.")] = False
    reject_namespaces: Annotated[bool, Key("Plugins may not change namespaces.")] = False
    reject_sysctls: Annotated[bool, Key("Plugins may not change sysctls.")] = False
    required_plugins: Annotated[
        tuple[str, ...],
        Key("Plugins without which no container is created; pods add to it by `required-plugins.noderesource.dev`."),
    ] = ()
    tolerate_missing_annotation: Annotated[
        str, Key('Annotation by whose value "true" a pod does without the required plugins; empty: none can.')
    ] = ""


class Cdi(msgspec.Struct, frozen=True):
    """Container Device Interface."""

    spec_dirs: Annotated[tuple[str, ...], live("Directories of CDI specs; a later one overrides.", absolute=True)] = (
        "/etc/cdi",
        "/var/run/cdi",
    )


class Hooks(msgspec.Struct, frozen=True):
    """OCI hooks from files (oci-hooks(5))."""

    dirs: Annotated[
        tuple[str, ...], live("Directories of hook files; a same-named file in a later one overrides.", absolute=True)
    ] = ("/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d")


class Seccomp(msgspec.Struct, frozen=True):
    """Seccomp."""

    profile: Annotated[
        str, live("A JSON profile to use for RuntimeDefault; empty: the built-in one.", absolute=True)
    ] = ""


class Apparmor(msgspec.Struct, frozen=True):
    """AppArmor, on hosts that have it."""

    profile: Annotated[
        str, live("The profile for RuntimeDefault; the built-in `cricket-default` is loaded when it is used.")
    ] = "cricket-default"


class Security(msgspec.Struct, frozen=True):
    """Other security defaults."""

    selinux: Annotated[bool, Key("Label containers and volumes, on hosts where SELinux is active.")] = False
    checkpoint_images: Annotated[
        bool,
        live(
            "Restore containers from images that hold a checkpoint: their processes get back the users and "
            "capabilities that they had, whatever the pod may have. Archives, named by their path, need no leave."
        ),
    ] = False
    unprivileged_ports: Annotated[
        bool, live("Let pods with their own network bind ports below 1024 without a capability.")
    ] = True
    unprivileged_icmp: Annotated[bool, live("Let pods with their own network ping without a capability.")] = True
    default_capabilities: Annotated[
        tuple[str, ...], live("Capabilities of an ordinary container, without the CAP_ prefix.")
    ] = (
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    )


class Limits(msgspec.Struct, frozen=True):
    """Limits of ours."""

    exec_output: Annotated[
        int, live("Bytes of output that ExecSync keeps, both streams together.", low=1024, high=16 * MIB - 65536)
    ] = 16 * MIB - 65536
    request_size: Annotated[int, Key("Bytes of the largest request.", low=MIB, high=64 * MIB)] = 16 * MIB
    pids: Annotated[int, live("Processes of a container for which the kubelet sets none; 0: no limit.", low=0)] = 0
    ulimits: Annotated[
        tuple[str, ...], live("Resource limits of containers, like `nofile=65536:1048576` (soft:hard).")
    ] = ()


class Stats(msgspec.Struct, frozen=True):
    """Measuring containers."""

    collect_period: Annotated[
        float, live("Seconds for which a measurement is given out again; 0: measure at each request.", low=0)
    ] = 0.0


class Config(msgspec.Struct, frozen=True):
    """The whole configuration of the daemon."""

    root: Annotated[str, Key("Durable data: records, images, layers.", absolute=True)] = "/var/lib/cricket"
    state: Annotated[str, Key("Data of this boot: sockets, pins, pid files. On tmpfs.", absolute=True)] = "/run/cricket"
    socket: Annotated[str, Key("The CRI socket.", absolute=True)] = "/run/cricket/cricket.sock"
    socket_mode: Annotated[int, Key("The socket's permissions.", octal=True, low=0, high=0o777)] = 0o660
    socket_group: Annotated[str, Key("The socket's group, a name or number; empty: the daemon's.")] = ""
    cgroup_driver: Annotated[
        str,
        Key(
            "Who makes cgroups, also told to the kubelet; `auto`: systemd where systemd runs, else cgroupfs.",
            choices=("auto", "cgroupfs", "systemd"),
        ),
    ] = "auto"
    default_handler: Annotated[
        str, Key("The handler of pods that name none; `auto`: crun when this host can run it, else runc.")
    ] = "auto"
    log: Log = Log()
    handlers: dict[str, Handler] = msgspec.field(default_factory=built_in_handlers)
    monitor: Monitor = Monitor()
    images: Images = Images()
    network: Network = Network()
    streaming: Streaming = Streaming()
    metrics: Metrics = Metrics()
    nri: Nri = Nri()
    cdi: Cdi = Cdi()
    hooks: Hooks = Hooks()
    seccomp: Seccomp = Seccomp()
    apparmor: Apparmor = Apparmor()
    security: Security = Security()
    limits: Limits = Limits()
    stats: Stats = Stats()
