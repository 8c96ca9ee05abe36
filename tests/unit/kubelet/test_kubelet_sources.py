"""Manifests from a web server and from standard input; what mistakes mean for what was wanted before."""

from __future__ import annotations

import http.server
import io
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cricket.errors import InvalidArgument
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.manifest.load import load
from cricket.kubelet.source import keeping, source
from cricket.kubelet.source_url import UrlSource

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: i}]}\n"


class Server:
    """Answers with `status` and `text`; with an ETag, which it also honours."""

    def __init__(self) -> None:
        self.status, self.text, self.asked = 200, b"", list[str]()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/pods.yaml"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        tag = f'"{hash(self.text)}"'
        self.asked.append(request.headers.get("If-None-Match", ""))
        status = 304 if self.status == 200 and self.asked[-1] == tag else self.status
        request.send_response(status)
        request.send_header("ETag", tag)
        request.end_headers()
        if status == 200:
            request.wfile.write(self.text)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def names(desired: Desired | None) -> list[str]:
    assert desired is not None
    return [pod.metadata.name for pod in desired.pods]


def test_a_url_is_told_when_it_changes(server: Server) -> None:
    server.text, asking = POD.replace("NAME", "a").encode(), UrlSource(server.url, "node")
    assert names(asking.ask()) == ["a"]
    assert asking.ask() is None
    assert server.asked == ["", f'"{hash(server.text)}"'], "the second question names what is known"
    server.text = POD.replace("NAME", "b").encode()
    assert names(asking.ask()) == ["b"]


def test_a_url_that_fails_keeps_its_pods(server: Server) -> None:
    server.text, asking = POD.replace("NAME", "a").encode(), UrlSource(server.url, "node")
    asking.ask()
    server.status = 500
    failed = asking.ask()
    assert names(failed) == ["a"] and failed is not None and "answers 500" in str(failed.errors[0])
    assert asking.ask() is None, "it is told once"
    server.status, server.text = 200, b"kind: ["
    broken = asking.ask()
    assert names(broken) == ["a"] and broken is not None and broken.errors
    server.text = POD.replace("NAME", "b").encode()
    healed = asking.ask()
    assert names(healed) == ["b"] and healed is not None and not healed.errors


def test_nobody_answers() -> None:
    refused = UrlSource("http://127.0.0.1:1/", "node").ask()
    assert refused is not None and not refused.pods and "refused" in str(refused.errors[0])


async def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.BytesIO(POD.replace("NAME", "a").encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=text))
    told: list[Desired] = []
    await source("-", "node")(lambda name, desired: told.extend(desired))
    assert names(told[0]) == ["a"] and told[0].origin == "stdin"


def test_other_schemes() -> None:
    with pytest.raises(InvalidArgument, match="folders, files"):
        source("ftp://x/y", "node")


def test_mistakes_keep_what_is_missing() -> None:
    a, b = POD.replace("NAME", "a"), POD.replace("NAME", "b")

    def read(text: str, before: Desired | None = None) -> Desired:
        return keeping(load(text.encode(), "x", "node"), before)

    both = read(f"{a}---\n{b}")
    changed = a.replace("image: i", "image: new")
    half = read(f"{changed}---\n{b.replace('containers', 'container')}", both)
    assert names(half) == ["a", "b"] and half.errors
    assert half.pods[0].spec.containers[0].image == "new", "what is good is taken"
    assert half.pods[1] == both.pods[1]
    assert names(read(a, half)) == ["a"], "without a mistake it is what it says"
    assert names(read("kind: [", both)) == ["a", "b"]
