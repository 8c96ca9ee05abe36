"""A real registry on loopback with one large image, made here."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import platform
import random
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator

import msgspec

from cricket.errors import FailedPrecondition

_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Shape(msgspec.Struct, frozen=True):
    """An image's size: uncompressed bytes and files over all layers."""

    size: int = 300 << 20
    files: int = 20_000
    layers: int = 6


@contextlib.contextmanager
def serve(base: str) -> Iterator[str]:
    """Debian's docker-registry on a free loopback port; yields "127.0.0.1:PORT"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    os.makedirs(f"{base}/registry")
    with open(f"{base}/registry.yml", "w") as f:
        f.write(
            f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {base}/registry\n"
            f"http:\n  addr: {address}\n"
        )
    with open(f"{base}/registry.log", "wb") as log:
        try:
            server = subprocess.Popen(["docker-registry", "serve", f"{base}/registry.yml"], stdout=log, stderr=log)
        except FileNotFoundError as error:
            raise FailedPrecondition("there is no registry to pull from", todo="apt install docker-registry") from error
    try:
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
            return
        time.sleep(0.02)
    raise FailedPrecondition("the registry did not come up", where=address)


def push(address: str, repository: str, shape: Shape, changed_layers: int = 0) -> None:
    """Push the image as `repository`:1. With `changed_layers` that many of its top layers are others than usual."""
    layers = [_layer(shape, i, other=i >= shape.layers - changed_layers) for i in range(shape.layers)]
    config = json.dumps(
        {
            "architecture": _ARCH.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
    ).encode()
    for blob in (config, *(data for data, _ in layers)):
        _put_blob(address, repository, blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": _descriptor(config, "application/vnd.docker.container.image.v1+json"),
        "layers": [_descriptor(data, _GZIP) for data, _ in layers],
    }
    url = f"http://{address}/v2/{repository}/manifests/1"
    _request(url, "PUT", json.dumps(manifest).encode(), str(manifest["mediaType"]))


def _layer(shape: Shape, number: int, *, other: bool) -> tuple[bytes, str]:
    """A layer's compressed bytes and diff id: text-like files of many sizes in a few hundred directories."""
    chance = random.Random(f"{number} {other}")
    words = [chance.randbytes(6).hex() for _ in range(4096)]
    page = " ".join(chance.choices(words, k=24_000)).encode()
    count = shape.files // shape.layers
    mean = shape.size // shape.files
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for index in range(count):
            size = min(int(chance.expovariate(1 / mean)), mean * 20)
            entry = tarfile.TarInfo(f"layer{number}/d{index % 97}/f{index}")
            entry.size = size
            offset = chance.randrange(len(page))
            content = (page[offset:] + page * (size // len(page) + 1))[:size]
            tar.addfile(entry, io.BytesIO(content))
    data = raw.getvalue()
    return gzip.compress(data, 5, mtime=0), "sha256:" + hashlib.sha256(data).hexdigest()


def _descriptor(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(data), "digest": "sha256:" + hashlib.sha256(data).hexdigest()}


def _put_blob(address: str, repository: str, data: bytes) -> None:
    location = _request(f"http://{address}/v2/{repository}/blobs/uploads/", "POST", b"", "")
    separator = "&" if "?" in location else "?"
    digest = hashlib.sha256(data).hexdigest()
    _request(f"{location}{separator}digest=sha256:{digest}", "PUT", data, "application/octet-stream")


def _request(url: str, method: str, body: bytes, kind: str) -> str:
    headers = {"Content-Type": kind} if kind else {}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=120) as answer:
        return str(answer.headers.get("Location", ""))
