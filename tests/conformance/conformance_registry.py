"""A registry that misbehaves as told: it wants credentials, stalls in the middle of a layer, or refuses to talk."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.images import MANIFEST, Image


class OddRegistry:
    """Serves one image under any name. `credentials` ("user:password") are asked for; `stall` holds layers back."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.credentials = ""
        self.stall = False
        self.answer = 0
        """A status that everything is answered with; 0 for none."""
        self.stalled, self.hung_up, self.closing = threading.Event(), threading.Event(), threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.serve(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        wanted = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        kind, _, name = request.path.rpartition("/")
        if self.answer:
            self._send(request, self.answer, b"{}")
        elif self.credentials and request.headers.get("Authorization") != wanted:
            self._send(request, 401, b"{}", ("WWW-Authenticate", 'Basic realm="test"'))
        elif kind.endswith("/manifests"):
            digest = ("Docker-Content-Digest", self.image.digest)
            self._send(request, 200, self.image.manifest, ("Content-Type", MANIFEST), digest)
        elif kind.endswith("/blobs") and name in self.image.blobs:
            self._blob(request, self.image.blobs[name], is_layer=name != self.image.id)
        else:
            self._send(request, 200 if request.path == "/v2/" else 404, b"{}")

    def _blob(self, request: BaseHTTPRequestHandler, data: bytes, *, is_layer: bool) -> None:
        if not (self.stall and is_layer):
            self._send(request, 200, data)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[: len(data) // 2])
        self.stalled.set()
        request.connection.settimeout(0.1)
        while not self.closing.is_set():
            with contextlib.suppress(TimeoutError):
                try:
                    gone = not request.connection.recv(1)
                except ConnectionResetError:
                    gone = True
                if gone:
                    self.hung_up.set()
                    break
        request.close_connection = True

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        request.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def close(self) -> None:
        """Stop serving."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def odd_registry(image: Image, certs_dir: Path) -> Iterator[OddRegistry]:
    """A registry that `certs_dir` knows to speak plain HTTP."""
    registry = OddRegistry(image)
    directory = certs_dir / registry.host
    directory.mkdir()
    (directory / "hosts.toml").write_text(f'server = "http://{registry.host}"\n')
    try:
        yield registry
    finally:
        registry.close()
