"""What was attached: one file per attachment, in the place and format of libcni.

`<cache_dir>/results/<network>-<container>-<ifname>` holds JSON with `kind`, `containerId`, `config` (base64 of the
configuration at the time), `ifName`, `networkName`, `netns`, `cniArgs`, `capabilityArgs`, `result`. So DEL works after
a restart, with a changed configuration, and after a switch from or to a runtime that uses libcni. We write the entry
twice: without `result` before the first plugin runs (the intent), and durably with it before ADD is answered. Our
entries carry the extra key `runtime`, which libcni ignores: GC must not take down what another runtime attached.
"""

from __future__ import annotations

import base64
import os
import re

import msgspec

from cricket.errors import CricketError, Internal, map_errors
from cricket.kernel.effects import effect
from cricket.kernel.files import atomic_write, make_dir, remove_file
from cricket.network.attachment import Attachment
from cricket.network.conf import NetworkConf, parse
from cricket.network.result import Json

KIND = "cniCacheV1"
RUNTIME = "cricket"
_TEMPORARY = re.compile(r"\.tmp[0-9]+$")  # of atomic_write


class _Record(msgspec.Struct, omit_defaults=True, rename="camel"):
    kind: str
    container_id: str
    if_name: str
    network_name: str
    config: str = ""
    netns: str = ""
    cni_args: list[tuple[str, str]] | None = None
    capability_args: dict[str, object] | None = None
    result: Json | None = None
    runtime: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A cached attachment. `conf` is None when the stored configuration cannot be read; `result` before ADD ended."""

    attachment: Attachment
    network: str
    conf: NetworkConf | None
    result: Json | None
    ours: bool


def path(cache_dir: str, network: str, attachment: Attachment) -> str:
    """The entry's file."""
    return os.path.join(cache_dir, "results", f"{network}-{attachment.container_id}-{attachment.ifname}")


def write(cache_dir: str, conf: NetworkConf, attachment: Attachment, result: Json | None, *, durable: bool) -> None:
    """Write or replace the entry (blocks). Raises Internal."""
    record = _Record(
        kind=KIND,
        container_id=attachment.container_id,
        config=base64.b64encode(conf.raw).decode(),
        if_name=attachment.ifname,
        network_name=conf.name,
        netns=attachment.netns,
        cni_args=[(k, v) for k, v in attachment.args],
        capability_args=dict(attachment.capabilities),
        result=result,
        runtime=RUNTIME,
    )
    file = path(cache_dir, conf.name, attachment)
    make_dir(os.path.dirname(file), 0o700)
    atomic_write(file, msgspec.json.encode(record), mode=0o600, durable=durable)
    effect("cni cache write")


def remove(cache_dir: str, network: str, attachment: Attachment) -> None:
    """Forget the attachment. Idempotent (blocks). Raises Internal."""
    remove_file(path(cache_dir, network, attachment))
    effect("cni cache remove")


def read(cache_dir: str, container_id: str = "") -> list[Entry]:
    """The entries of one container, or of all, by file name (blocks). What is no entry is left out. Raises Internal."""
    directory = os.path.join(cache_dir, "results")
    with map_errors(OSError, Internal, "cannot read the CNI cache", where=directory):
        try:
            files = sorted(os.listdir(directory))
        except FileNotFoundError:
            return []
    entries = []
    for file in files:
        if container_id and f"-{container_id}-" not in file:
            continue
        entry = _read_one(os.path.join(directory, file))
        if entry is not None and container_id in ("", entry.attachment.container_id):
            entries.append(entry)
    return entries


def sweep(cache_dir: str) -> None:
    """Remove files that were cut short by a death; nobody may be writing (blocks). Raises Internal."""
    directory = os.path.join(cache_dir, "results")
    with map_errors(OSError, Internal, "cannot sweep the CNI cache", where=directory):
        names = os.listdir(directory) if os.path.isdir(directory) else []
    for name in filter(_TEMPORARY.search, names):
        remove_file(os.path.join(directory, name))


def _read_one(file: str) -> Entry | None:
    try:
        with open(file, "rb") as f:
            record = msgspec.json.decode(f.read(), type=_Record)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    attachment = Attachment(
        container_id=record.container_id,
        netns=record.netns,
        ifname=record.if_name,
        args=tuple(record.cni_args or ()),
        capabilities=record.capability_args or {},
    )
    # The names must lead back to this very file: a foreign or damaged one must not make us remove another.
    if record.kind != KIND or os.path.basename(file) != f"{record.network_name}-{record.container_id}-{record.if_name}":
        return None
    try:
        conf = parse(base64.b64decode(record.config, validate=True), file)
    except (CricketError, ValueError):
        conf = None
    if conf is not None and (not conf.plugins or conf.name != record.network_name):
        conf = None
    return Entry(attachment, record.network_name, conf, record.result, record.runtime == RUNTIME)
