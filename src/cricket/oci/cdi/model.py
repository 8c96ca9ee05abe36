"""A CDI spec file as values (CDI SPEC.md), decoded strictly and checked."""

from __future__ import annotations

import importlib
from typing import Annotated

import msgspec

from cricket.errors import InvalidArgument, map_errors
from cricket.oci.cdi.names import is_device, is_kind

VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
HOOK_NAMES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]


class _Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What is unknown is an error: it would have been an edit that we do not make."""


class DeviceNodeEdit(_Strict, frozen=True):
    """A device node; what is left out is taken from the host's node."""

    path: _Text
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: _Id | None = None
    gid: _Id | None = None


class MountEdit(_Strict, frozen=True):
    """A mount."""

    host_path: _Text
    container_path: _Text
    options: list[str] = []
    type: str = ""


class HookEdit(_Strict, frozen=True):
    """A hook."""

    hook_name: str
    path: _Text
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class NetDeviceEdit(_Strict, frozen=True):
    """A network interface to move (1.1)."""

    host_interface_name: _Text
    name: _Text


class IntelRdtEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Intel Resource Director Technology."""

    clos_id: str = msgspec.field(default="", name="closID")
    l3_cache_schema: str = msgspec.field(default="", name="l3CacheSchema")
    mem_bw_schema: str = msgspec.field(default="", name="memBwSchema")
    schemata: list[str] = []
    enable_monitoring: bool = msgspec.field(default=False, name="enableMonitoring")
    enable_cmt: bool = msgspec.field(default=False, name="enableCMT")
    enable_mbm: bool = msgspec.field(default=False, name="enableMBM")


class Edits(_Strict, frozen=True):
    """containerEdits."""

    env: list[str] = []
    device_nodes: list[DeviceNodeEdit] = []
    net_devices: list[NetDeviceEdit] = []
    hooks: list[HookEdit] = []
    mounts: list[MountEdit] = []
    intel_rdt: IntelRdtEdit | None = None
    additional_gids: list[_Id] = []


class CdiDevice(_Strict, frozen=True):
    """One device."""

    name: str
    annotations: dict[str, str] = {}
    container_edits: Edits = Edits()


class CdiSpec(_Strict, frozen=True):
    """One file: a kind ("vendor/class"), its devices, and the edits that come with any of them."""

    kind: str
    devices: list[CdiDevice]
    version: str = msgspec.field(name="cdiVersion")
    annotations: dict[str, str] = {}
    container_edits: Edits = Edits()


def parse(content: bytes, path: str) -> CdiSpec:
    """Decode a JSON file, or a YAML one by its suffix, and check it. Raises InvalidArgument that names the file."""
    with map_errors((msgspec.MsgspecError, UnicodeDecodeError), InvalidArgument, "bad CDI spec", where=path):
        if path.endswith(".json"):
            spec = msgspec.json.decode(content, type=CdiSpec)
        else:
            spec = msgspec.convert(_yaml(content, path), type=CdiSpec)
    _check(spec, path)
    return spec


def _yaml(content: bytes, path: str) -> object:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as e:
        raise InvalidArgument(
            "a CDI spec in YAML needs the Python package PyYAML", where=path, todo="Install it or convert to JSON."
        ) from e
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with map_errors(yaml.YAMLError, InvalidArgument, "bad YAML", where=path):
        document: object = yaml.load(content, Loader=loader)
    return document


def _check(spec: CdiSpec, path: str) -> None:
    if spec.version.removeprefix("v") not in VERSIONS:
        raise InvalidArgument(f"unknown CDI version {spec.version[:20]!r}", where=path)
    if not is_kind(spec.kind):
        raise InvalidArgument(f"{spec.kind[:200]!r} is no kind like vendor.com/class", where=path)
    if not spec.devices:
        raise InvalidArgument("the CDI spec has no devices", where=path)
    names = [d.name for d in spec.devices]
    for name in names:
        if not is_device(name) or names.count(name) > 1:
            raise InvalidArgument(f"device name {name[:200]!r} is malformed or not unique", where=path)
    for edits in (spec.container_edits, *(d.container_edits for d in spec.devices)):
        _check_edits(edits, path)


def _check_edits(edits: Edits, path: str) -> None:
    for entry in (*edits.env, *(e for h in edits.hooks for e in h.env)):
        if entry.find("=") <= 0:
            raise InvalidArgument(f"{entry[:200]!r} is no environment variable", where=path)
    for node in edits.device_nodes:
        if node.type not in ("", "b", "c", "u", "p"):
            raise InvalidArgument(f"device type {node.type[:20]!r} is unknown", where=f"{path}: {node.path}")
        if node.permissions != "none" and set(node.permissions) - set("rwm"):
            raise InvalidArgument(f"permissions {node.permissions[:20]!r} are unknown", where=f"{path}: {node.path}")
    for hook in edits.hooks:
        if hook.hook_name not in HOOK_NAMES:
            raise InvalidArgument(f"hook name {hook.hook_name[:64]!r} is unknown", where=path)
