"""For the tests of pulling: images made in memory, a pusher, Debian's docker-registry, a registry that misbehaves."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import hashlib
import http.client
import io
import json
import os
import socket
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from cricket.config.model import Images
from cricket.images.pull import PullOutcome, PullService
from cricket.images.store import ImageStore
from cricket.types.image import Image, RegistryAuth

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "": "application/vnd.oci.image.layer.v1.tar",
}


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


class TestImage:
    """An image: `blobs` by digest, and its manifest."""

    __test__ = False

    def __init__(
        self,
        layers: list[dict[str, bytes]],
        *,
        compression: str = "gzip",
        docker: bool = False,
        architecture: str = "amd64",
        urls: list[str] | None = None,
        **config: Any,
    ) -> None:
        self.blobs: dict[str, bytes] = {}
        self.layers: list[dict[str, Any]] = []
        diff_ids = []
        for files in layers:
            raw = tar(files)
            diff_ids.append(digest(raw))
            data = _compress(raw, compression)
            kind = "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else _TYPES[compression]
            item = self._add(data, kind)
            if urls is not None:
                item["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
                item["urls"] = [f"{url}/{item['digest']}" for url in urls]
            self.layers.append(item)
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        kind = (
            "application/vnd.docker.container.image.v1+json" if docker else "application/vnd.oci.image.config.v1+json"
        )
        self.config = self._add(json.dumps(document).encode(), kind)
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": self.media_type, "config": self.config, "layers": self.layers}
        ).encode()
        self.digest = digest(self.manifest)
        self.id = self.config["digest"]
        self.platform = {"os": "linux", "architecture": architecture}

    def _add(self, data: bytes, media_type: str) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def index_of(*images: TestImage, docker: bool = False) -> bytes:
    items = [
        {"mediaType": i.media_type, "digest": i.digest, "size": len(i.manifest), "platform": i.platform} for i in images
    ]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": DOCKER_LIST if docker else OCI_INDEX, "manifests": items}
    ).encode()


def _compress(raw: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(raw, 1, mtime=0)
    if how == "zstd":
        import zstandard

        return zstandard.ZstdCompressor().compress(raw)
    return raw


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same each time."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class DockerRegistry:
    """Debian's docker-registry on a free loopback port."""

    def __init__(self, directory: Path, config: dict[str, Any] | None = None, tls: Authority | None = None) -> None:
        self.port, self.tls = free_port(), tls
        self.host = f"127.0.0.1:{self.port}"
        document: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
            **(config or {}),
        }
        if tls is not None:
            document["http"]["tls"] = {"certificate": str(tls.cert), "key": str(tls.key)}
            document["http"]["tls"] |= {"clientcas": [str(tls.ca)]} if tls.wants_client else {}
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "config.yml"
        path.write_text(json.dumps(document))  # JSON is YAML
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "docker-registry ended"
            time.sleep(0.02)
        raise AssertionError("docker-registry does not listen")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def push(
        self, repository: str, tag: str, image: TestImage, *, auth: str = "", media_type: str = "", body: bytes = b""
    ) -> None:
        """Push an image, or (with `body`) an index whose images are there."""
        connection = self._connect()
        headers = {"Authorization": auth} if auth else {}
        for name, data in image.blobs.items():
            self._ask(connection, "POST", f"/v2/{repository}/blobs/uploads/", headers, b"", 202)
            location = self._location.partition(self.host)[2] or self._location
            target = f"{location}{'&' if '?' in location else '?'}digest={name}"
            self._ask(connection, "PUT", target, {**headers, "Content-Type": "application/octet-stream"}, data, 201)
        headers["Content-Type"] = media_type or image.media_type
        self._ask(connection, "PUT", f"/v2/{repository}/manifests/{tag}", headers, body or image.manifest, 201)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        if self.tls.wants_client:
            context.load_cert_chain(self.tls.client_cert, self.tls.client_key)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, headers: Any, body: bytes, want: int
    ) -> None:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == want, (method, path, response.status, text)
        self._location = response.headers.get("Location", "")


def htpasswd(directory: Path, user: str, password: str) -> Path:
    """A password file with bcrypt, made by libcrypt."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed = crypt(password.encode(), b"$2y$05$abcdefghijklmnopqrstuu").decode()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "htpasswd"
    path.write_text(f"{user}:{hashed}\n")
    return path


class Authority:
    """A CA with a server certificate for 127.0.0.1 and a client certificate, by openssl."""

    def __init__(self, directory: Path, *, wants_client: bool = False) -> None:
        self.wants_client = wants_client
        directory.mkdir(parents=True)
        self.ca, self.cert, self.key = directory / "ca.pem", directory / "server.pem", directory / "server.key"
        self.client_cert, self.client_key = directory / "client.pem", directory / "client.key"
        ca_key = directory / "ca.key"
        ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        _openssl("req", "-x509", *ec, "-keyout", ca_key, "-out", self.ca, "-subj", "/CN=Test CA")
        for cert, key, name in ((self.cert, self.key, "127.0.0.1"), (self.client_cert, self.client_key, "node")):
            extra = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=CA:FALSE"]
            _openssl(
                *["req", "-x509", *ec, "-keyout", key, "-out", cert, "-subj", f"/CN={name}", *extra],
                *["-CA", self.ca, "-CAkey", ca_key],
            )

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def _openssl(*args: object) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Puller:
    """A store and its pull service, with configuration below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.outcomes: list[PullOutcome] = []
        self.store = ImageStore(str(root / "images"))
        self.config = Images(
            certs_dirs=(f"{root}/certs.d",),
            registries_conf=(f"{root}/registries.conf",),
            docker_configs=(f"{root}/auth.json",),
            progress_timeout=10.0,
        )
        self.service = PullService(self.store, self.config, on_done=self.outcomes.append)

    def hosts(self, host: str, text: str) -> None:
        directory = self.root / "certs.d" / host
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "hosts.toml").write_text(text)

    async def pull(self, reference: str, auth: RegistryAuth | None = None) -> Image:
        image = self.store.find(await self.service.pull(reference, auth))
        assert image is not None
        return image

    def read(self, image: Image, path: str) -> bytes:
        for lower in self.store.snapshots.lowers(image.chain_id):
            if os.path.exists(f"{lower}/{path}"):
                return Path(f"{lower}/{path}").read_bytes()
        raise AssertionError(f"{path} is not in the image")

    def be_quick(self, attempts: int = 2, **limits: Any) -> None:
        """Short waits, few attempts."""
        self.service.limits = msgspec.structs.replace(
            self.service.limits, **{"attempts": attempts, "backoff": 0.01, **limits}
        )


Behaviour = Callable[["Handler"], bool]


class FakeRegistry:
    """A registry in Python that serves images, and does to requests what `behaviour` says (True: it has answered)."""

    def __init__(self, *images: TestImage, tls: Authority | None = None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.behaviour: Behaviour | None = None
        self.ranges = True
        self.tunnel = ""
        self.closing = threading.Event()
        for image in images:
            self.add(image)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.registry = self  # type: ignore[attr-defined]
        if tls is not None:
            self._server.socket = tls.server_context().wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.scheme = "https" if tls else "http"
        self.url = f"{self.scheme}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def add(self, image: TestImage, tag: str = "latest") -> None:
        self.blobs |= image.blobs
        self.manifests[tag] = self.manifests[image.digest] = (image.media_type, image.manifest)

    def paths(self, word: str = "") -> list[str]:
        return [path for _, path, _ in self.log if word in path]

    def headers(self, word: str) -> list[dict[str, str]]:
        return [headers for _, path, headers in self.log if word in path]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Requests of a FakeRegistry."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def registry(self) -> FakeRegistry:
        return self.server.registry  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        registry = self.registry
        registry.log.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            if registry.behaviour is None or not registry.behaviour(self):
                self.serve()

    do_HEAD = do_POST = do_GET

    def do_CONNECT(self) -> None:
        """A proxy's tunnel, always to the same place."""
        self.registry.log.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        host, _, port = self.registry.tunnel.partition(":")
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_relay, args=(far, self.connection), daemon=True)
            back.start()
            _relay(self.connection, far)
            back.join(5)
        self.close_connection = True

    def serve(self) -> None:
        kind, _, name = self.path.partition("?")[0].rpartition("/")
        if kind.endswith("/manifests") and name in self.registry.manifests:
            media_type, body = self.registry.manifests[name]
            self.answer(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest(body)})
        elif name in self.registry.blobs:
            self.serve_blob(self.registry.blobs[name])
        else:
            self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    def serve_blob(self, data: bytes) -> None:
        wanted = self.headers.get("Range", "") if self.registry.ranges else ""
        if wanted:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        else:
            self.answer(200, data)

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.begin(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        """Only the head of an answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.registry.closing.wait(30)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Silence."""


def _relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    try:
        yield registry
    finally:
        registry.close()


def wait_until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Poll from a thread that is not the loop's."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as f:
            found += [int(word) for word in f.read().split()]
    return found
