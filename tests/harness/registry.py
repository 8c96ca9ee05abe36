"""Debian's docker-registry on a free loopback port."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from pathlib import Path

from harness.images import MANIFEST, Image


class Registry:
    """A registry process; `certs_dir` tells clients (in hosts.toml layout) that it speaks plain HTTP."""

    def __init__(self, directory: Path) -> None:
        self.port = _free_port()
        self.host = f"127.0.0.1:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
            "http": {"addr": self.host},
        }
        path = directory / "config.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        self.certs_dir = directory / "certs.d"
        (self.certs_dir / self.host).mkdir(parents=True)
        (self.certs_dir / self.host / "hosts.toml").write_text(f'server = "http://{self.host}"\n')
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "docker-registry ended"
            time.sleep(0.01)
        raise AssertionError("docker-registry does not listen")

    def push(self, name: str, image: Image, tag: str = "latest") -> str:
        """Push an image; returns the reference to pull."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            for key, data in image.blobs.items():
                location = _ask(connection, "POST", f"/v2/{name}/blobs/uploads/", b"", 202)
                target = location.partition(self.host)[2] or location
                _ask(connection, "PUT", f"{target}{'&' if '?' in target else '?'}digest={key}", data, 201)
            _ask(connection, "PUT", f"/v2/{name}/manifests/{tag}", image.manifest, 201, MANIFEST)
        return f"{self.host}/{name}:{tag}"

    def close(self) -> None:
        """Idempotent."""
        self._process.kill()
        self._process.wait()


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    want: int,
    media_type: str = "application/octet-stream",
) -> str:
    connection.request(method, path, body, {"Content-Type": media_type})
    response = connection.getresponse()
    text = response.read()
    assert response.status == want, (method, path, response.status, text)
    return response.headers.get("Location", "")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
