"""Small images, made from Debian's busybox-static or from nothing."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUSYBOX = "/bin/busybox"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"

Files = Mapping[str, bytes | str | None]
"""Path to content; None makes a directory, a str a symlink. A path under bin/ is executable."""


class Image:
    """An image in memory: `blobs` by digest, `manifest`, `digest` (of the manifest), `id` (of the config)."""

    def __init__(self, *layers: Files, **config: Any) -> None:
        """`config` is the image config's `config` section (Cmd, Env, User ...)."""
        tars = [tar(files) for files in layers]
        packed = [gzip.compress(data, 1, mtime=0) for data in tars]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"], **config},
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in tars]},
        }
        self.config = json.dumps(document).encode()
        self.blobs = {digest(data): data for data in (*packed, self.config)}
        self.layers = [{"mediaType": _LAYER, "digest": digest(data), "size": len(data)} for data in packed]
        self.id = digest(self.config)
        descriptor = {"mediaType": _CONFIG, "digest": self.id, "size": len(self.config)}
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": self.layers}
        ).encode()
        self.digest = digest(self.manifest)

    def write_layout(self, directory: Path, name: str = "test:latest") -> Path:
        """Write an OCI layout with this one image."""
        blobs = directory / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for key, data in {**self.blobs, self.digest: self.manifest}.items():
            (blobs / key.partition(":")[2]).write_bytes(data)
        annotations = {"org.opencontainers.image.ref.name": name}
        item = {"mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest), "annotations": annotations}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [item]}
        (directory / "index.json").write_text(json.dumps(index))
        (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        return directory


def digest(data: bytes) -> str:
    """ "sha256:HEX"."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files: Files) -> bytes:
    """An archive with these files, the same bytes each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if data is None or name.startswith("bin/") else 0o644
            if data is None:
                info.type = tarfile.DIRTYPE
                info.mode = 0o1777 if name == "tmp" else 0o755
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return out.getvalue()


@functools.cache
def busybox_files() -> dict[str, bytes | str | None]:
    """A root file system: busybox with all of its applets, users root and nobody."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files: dict[str, bytes | str | None] = {name: None for name in ("bin", "etc", "tmp", "root", "home", "var")}
    files["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\nnobody:x:65534:65534:::\n"
    files["etc/group"] = b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\nnogroup:x:65534:\n"
    with open(BUSYBOX, "rb") as f:
        files["bin/busybox"] = f.read()
    files |= {f"bin/{name}": "busybox" for name in applets if name != "busybox"}
    return files


@functools.cache
def busybox() -> Image:
    """Busybox; without a command of its own it sleeps for ever. Two layers."""
    return Image(busybox_files(), {"etc/second-layer": b"yes\n"}, Cmd=["sleep", "1000000"])
