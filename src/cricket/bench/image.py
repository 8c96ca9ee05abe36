"""Builds a small OCI image from Debian's busybox-static: a layout directory, made offline with nothing but Python."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Sequence

BUSYBOX = "/bin/busybox"
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def build(layout: str, names: Sequence[str]) -> None:
    """Write an OCI layout (image-spec image-layout.md) to the directory `layout`, its image under each of `names`."""
    blobs = os.path.join(layout, "blobs", "sha256")
    os.makedirs(blobs)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    tar = _layer()
    machine = platform.machine()
    config = {
        "architecture": _ARCH.get(machine, machine),
        "os": "linux",
        "config": {"Cmd": ["sleep", "1000000"], "Env": ["PATH=/bin:/sbin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(_json(config), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(gzip.compress(tar, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    entry = put(_json(manifest), "application/vnd.oci.image.manifest.v1+json")
    # containerd's import wants the first annotation for a whole name, the specification means the second for a tag.
    entries = [
        {**entry, "annotations": {"io.containerd.image.name": n, "org.opencontainers.image.ref.name": n}} for n in names
    ]
    for file, content in (
        ("index.json", {"schemaVersion": 2, "manifests": entries}),
        ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
    ):
        with open(os.path.join(layout, file), "wb") as f:
            f.write(_json(content))


def _layer() -> bytes:
    """A root file system: busybox with hard links for its applets, and the usual directories."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory, mode in (("bin", 0o755), ("etc", 0o755), ("www", 0o755), ("tmp", 0o1777), ("root", 0o700)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        _file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        _file(tar, "etc/group", b"root:x:0:\n", 0o644)
        _file(tar, "www/index.html", b"<h1>Hello from a Cricket pod</h1>\n", 0o644)
        with open(BUSYBOX, "rb") as f:
            _file(tar, "bin/busybox", f.read(), 0o755)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname, entry.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
                tar.addfile(entry)
    return raw.getvalue()


def _file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
