"""Pulls from registries that are broken, overloaded or hostile."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from remote_support import OCI_INDEX, Authority, FakeRegistry, Handler, Puller, TestImage, digest, noise, running

from cricket.errors import (
    CricketError,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RegistryUnavailable,
    ResourceExhausted,
    Unauthenticated,
    Unimplemented,
)
from cricket.types.image import RegistryAuth

pytestmark = pytest.mark.root
AUTH = RegistryAuth(username="user", password="hunter2")


@pytest_asyncio.fixture
async def puller(tmp_path: Path) -> AsyncIterator[Puller]:
    found = Puller(tmp_path)
    found.be_quick()
    yield found
    await found.service.close()
    found.store.close()


@pytest.fixture
def image() -> TestImage:
    return TestImage([{"big": noise(3_000_000)}, {"small": b"x"}])


@pytest.fixture
def registry(image: TestImage) -> Iterator[FakeRegistry]:
    with running(FakeRegistry(image)) as found:
        yield found


def times(count: int, what: Callable[[Handler], None], word: str = "/") -> Callable[[Handler], bool]:
    """Do `what` to the first `count` requests whose path has `word`."""
    left = [count]

    def behave(handler: Handler) -> bool:
        if word in handler.path and left[0] > 0:
            left[0] -= 1
            what(handler)
            return True
        return False

    return behave


def cut(size: int) -> Callable[[Handler], None]:
    """Promise a whole blob and close after `size` bytes of what was asked for."""

    def behave(handler: Handler) -> None:
        data = handler.registry.blobs[handler.path.partition("?")[0].rpartition("/")[2]]
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        head = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else None
        handler.begin(206 if start else 200, len(data) - start, head)
        handler.wfile.write(data[start : start + size])
        handler.close_connection = True

    return behave


async def test_a_truncated_blob_is_resumed(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    big = image.layers[0]["digest"]
    registry.behaviour = times(1, cut(1_000_000), big)
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert [h.get("range") for h in registry.headers(big)] == [None, "bytes=1000000-"]
    assert puller.outcomes[0].downloaded == sum(layer["size"] for layer in image.layers), "nothing came twice"


async def test_progress_renews_the_attempts(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    registry.behaviour = times(99, cut(1_100_000), image.layers[0]["digest"])
    assert (await puller.pull(f"{registry.host}/a")).id == image.id, (
        "three cuts, but only two attempts without progress"
    )


async def test_a_server_without_ranges(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    registry.ranges = False
    registry.behaviour = times(1, cut(1_000_000), image.layers[0]["digest"])
    found = await puller.pull(f"{registry.host}/a")
    assert puller.read(found, "big") == noise(3_000_000)


async def test_what_was_received_is_kept_for_the_next_pull(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    big = image.layers[0]["digest"]
    registry.behaviour = times(99, cut(100_000), big)
    with pytest.raises(RegistryUnavailable, match="a layer ended after"):
        await puller.pull(f"{registry.host}/a")
    registry.behaviour = None
    await puller.pull(f"{registry.host}/a")
    assert registry.headers(big)[-1]["range"] == "bytes=200000-"


async def test_another_range_than_asked(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    big = image.layers[0]["digest"]
    data = registry.blobs[big]
    first = times(1, cut(1_000_000), big)

    def behave(handler: Handler) -> bool:
        if first(handler):
            return True
        if handler.headers.get("Range"):
            handler.answer(206, data[500:], {"Content-Range": f"bytes 500-{len(data) - 1}/{len(data)}"})
            return True
        return False

    registry.behaviour = behave
    with pytest.raises(FailedPrecondition, match="another range"):
        await puller.pull(f"{registry.host}/a")


@pytest.mark.parametrize(("extra", "words"), [(b"more", "offered where"), (b"", "digest")])
async def test_a_blob_of_wrong_content(
    registry: FakeRegistry, puller: Puller, image: TestImage, extra: bytes, words: str
) -> None:
    big = image.layers[0]["digest"]
    wrong = noise(len(registry.blobs[big]), 7) + extra
    registry.blobs[big] = wrong
    with pytest.raises(DataLoss, match=words):
        await puller.pull(f"{registry.host}/a")
    assert puller.store.list() == []
    assert not puller.store.content.has(big) and puller.store.snapshots.layers.list() == []
    registry.blobs |= image.blobs
    assert (await puller.pull(f"{registry.host}/a")).id == image.id, "a bad partial does not stay in the way"


async def test_an_endless_blob(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while not handler.registry.closing.is_set():
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    registry.behaviour = times(99, endless, image.layers[0]["digest"])
    with pytest.raises(DataLoss, match="longer than the"):
        await puller.pull(f"{registry.host}/a")


async def test_a_bad_partial_of_an_earlier_pull(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    big = image.layers[0]["digest"]
    Path(puller.store.content.ingest, big[7:]).write_bytes(b"rubbish" * 1000)
    found = await puller.pull(f"{registry.host}/a")
    assert puller.read(found, "big") == noise(3_000_000)
    assert [h.get("range") for h in registry.headers(big)] == ["bytes=7000-", None]


async def test_an_overloaded_registry_is_tried_again(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    registry.behaviour = times(1, lambda h: h.answer(503, b"busy"), "manifests")
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    registry.behaviour = times(99, lambda h: h.answer(500, b"oh"), "manifests")
    with pytest.raises(RegistryUnavailable, match="answered 500: oh"):
        await puller.pull(f"{registry.host}/b")
    assert len(registry.paths("/b/manifests")) == 2


async def test_retry_after_is_honoured(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    registry.behaviour = times(1, lambda h: h.answer(429, b"", {"Retry-After": "1"}), "manifests")
    began = time.monotonic()
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert time.monotonic() - began >= 1.0
    registry.behaviour = times(9, lambda h: h.answer(429, b"", {"Retry-After": "3600"}), "manifests")
    began = time.monotonic()
    with pytest.raises(ResourceExhausted, match="429"):
        await puller.pull(f"{registry.host}/b")
    assert time.monotonic() - began < 30 and len(registry.paths("/b/manifests")) == 1


@pytest.mark.parametrize("what", ["manifests", "blobs"])
async def test_stalls_are_noticed(registry: FakeRegistry, puller: Puller, image: TestImage, what: str) -> None:
    puller.be_quick(stall=0.3)
    registry.behaviour = times(1, lambda h: h.hang(), what)
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    registry.behaviour = times(99, lambda h: h.hang(), what)
    registry.add(TestImage([{"other": b"y"}]))
    with pytest.raises(RegistryUnavailable, match="nothing for too long"):
        await puller.pull(f"{registry.host}/b")


async def test_a_stall_amid_a_blob_is_resumed(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    big = image.layers[0]["digest"]

    def stall(handler: Handler) -> None:
        data = handler.registry.blobs[big]
        handler.begin(200, len(data))
        handler.wfile.write(data[:300_000])
        handler.hang()

    puller.be_quick(stall=0.3)
    registry.behaviour = times(1, stall, big)
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert registry.headers(big)[1]["range"] == "bytes=300000-"


async def test_an_endless_manifest(registry: FakeRegistry, puller: Puller) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", OCI_INDEX)
        handler.end_headers()
        while not handler.registry.closing.is_set():
            handler.wfile.write(b" " * 65536)

    registry.behaviour = times(9, endless, "manifests")
    with pytest.raises(ResourceExhausted, match="manifest is larger"):
        await puller.pull(f"{registry.host}/a")
    registry.behaviour = times(9, lambda h: h.begin(200, 10**12), "manifests")
    with pytest.raises(ResourceExhausted, match="manifest is larger"):
        await puller.pull(f"{registry.host}/a")


async def test_a_dripping_manifest(registry: FakeRegistry, puller: Puller) -> None:
    def drip(handler: Handler) -> None:
        handler.begin(200, 100_000)
        while not handler.registry.closing.wait(0.1):
            handler.wfile.write(b" ")

    puller.be_quick(attempts=1, stall=0.3)
    registry.behaviour = times(9, drip, "manifests")
    with pytest.raises(RegistryUnavailable, match="too slowly"):
        await puller.pull(f"{registry.host}/a")


def _manifests(image: TestImage) -> list[tuple[str, bytes, type[CricketError], str]]:
    both = json.dumps({**json.loads(image.manifest), "manifests": []}).encode()
    schema1 = b'{"schemaVersion": 1, "fsLayers": [], "history": []}'
    return [
        (OCI_INDEX, image.manifest, InvalidArgument, "Content-Type"),
        ("", both, InvalidArgument, "both an index and a manifest"),
        (image.media_type, b"not json", InvalidArgument, "malformed"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", schema1, Unimplemented, "schema 1"),
        ("text/html", b"<html>log in</html>", Unimplemented, "not a type of image manifest"),
    ]


@pytest.mark.parametrize("number", range(5))
async def test_content_type_confusion(registry: FakeRegistry, puller: Puller, image: TestImage, number: int) -> None:
    media_type, body, kind, words = _manifests(image)[number]
    registry.manifests["latest"] = (media_type, body)
    with pytest.raises(kind, match=words):
        await puller.pull(f"{registry.host}/a")


async def test_manifests_of_wrong_digest(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    other = TestImage([{"evil": b"!"}])
    registry.add(other, "other")
    registry.manifests[image.digest] = (other.media_type, other.manifest)
    with pytest.raises(DataLoss, match="does not have its digest"):
        await puller.pull(f"{registry.host}/a@{image.digest}")
    lie = times(1, lambda h: h.answer(200, other.manifest, {"Docker-Content-Digest": image.digest}), "manifests")
    registry.behaviour = lie
    with pytest.raises(DataLoss, match="does not have its digest"):
        await puller.pull(f"{registry.host}/a")


async def test_an_index_that_lies(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    def index(size: int, name: str = image.digest) -> None:
        item = {"mediaType": image.media_type, "digest": name, "size": size}
        body = json.dumps({"schemaVersion": 2, "manifests": [item]}).encode()
        registry.manifests["latest"] = (OCI_INDEX, body)

    index(len(image.manifest) + 1)
    with pytest.raises(DataLoss, match="bytes, the index says"):
        await puller.pull(f"{registry.host}/a")
    index(10**9)
    with pytest.raises(ResourceExhausted, match="larger"):
        await puller.pull(f"{registry.host}/a")
    body = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    for _ in range(5):
        registry.manifests[digest(body)] = (OCI_INDEX, body)
        item = {"mediaType": OCI_INDEX, "digest": digest(body), "size": len(body)}
        body = json.dumps({"schemaVersion": 2, "manifests": [item]}).encode()
    registry.manifests["latest"] = (OCI_INDEX, body)
    with pytest.raises(DataLoss, match="nested"):
        await puller.pull(f"{registry.host}/a")


async def test_a_config_that_does_not_fit(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    config = b'{"rootfs": {"diff_ids": []}}'
    document = json.loads(image.manifest)
    document["config"] = {**document["config"], "digest": digest(config), "size": len(config)}
    registry.blobs[digest(config)] = config
    registry.manifests["latest"] = (image.media_type, json.dumps(document).encode())
    with pytest.raises(DataLoss, match="2 layers but 0 diff ids"):
        await puller.pull(f"{registry.host}/a")
    document["config"]["size"] = 1 << 40
    registry.manifests["latest"] = (image.media_type, json.dumps(document).encode())
    with pytest.raises(ResourceExhausted, match="config is larger"):
        await puller.pull(f"{registry.host}/a")


async def test_layers_that_are_not_what_the_config_says(registry: FakeRegistry, puller: Puller) -> None:
    good, evil = TestImage([{"a": b"good"}]), TestImage([{"a": b"evil"}])
    document = json.loads(good.manifest)
    document["layers"] = evil.layers
    registry.blobs |= good.blobs | evil.blobs
    registry.manifests["latest"] = (good.media_type, json.dumps(document).encode())
    with pytest.raises(DataLoss, match="not to what the image says"):
        await puller.pull(f"{registry.host}/a")
    assert puller.store.snapshots.layers.list() == []


def basic(handler: Handler) -> bool:
    """Ask for a name; True when it was not given."""
    if handler.headers.get("Authorization", "").startswith("Basic "):
        return False
    handler.answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
    return True


async def test_redirects_do_not_carry_credentials(
    registry: FakeRegistry, puller: Puller, image: TestImage, tmp_path: Path
) -> None:
    with running(FakeRegistry(image)) as storage:
        puller.hosts(registry.host, f'server = "{registry.url}"\n[header]\nX-Secret = "configured"\n')

        def behave(handler: Handler) -> bool:
            if basic(handler):
                return True
            if "/blobs/" in handler.path:
                handler.answer(307, b"", {"Location": f"{storage.url}/storage/{handler.path.rpartition('/')[2]}?sig=1"})
                return True
            return False

        registry.behaviour = behave
        assert (await puller.pull(f"{registry.host}/a", AUTH)).id == image.id
        assert len(storage.log) == 3
        for headers in storage.headers("/storage/"):
            assert "authorization" not in headers and "x-secret" not in headers
        assert registry.headers("manifests")[0]["x-secret"] == "configured"


async def test_redirects_on_the_same_host_keep_them(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    def behave(handler: Handler) -> bool:
        if basic(handler):
            return True
        if handler.path.startswith("/v2/") and "/blobs/" in handler.path:
            handler.answer(302, b"", {"Location": "/elsewhere/" + handler.path.rpartition("/")[2]})
            return True
        return False

    registry.behaviour = behave
    assert (await puller.pull(f"{registry.host}/a", AUTH)).id == image.id


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "http://[::1", "http://", "file:///etc/passwd"])
async def test_redirects_to_nowhere(registry: FakeRegistry, puller: Puller, location: str) -> None:
    registry.behaviour = times(99, lambda h: h.answer(302, b"", {"Location": location}), "blobs")
    with pytest.raises((FailedPrecondition, RegistryUnavailable)):
        await puller.pull(f"{registry.host}/a")


async def test_redirects_in_circles(registry: FakeRegistry, puller: Puller) -> None:
    registry.behaviour = times(99, lambda h: h.answer(302, b"", {"Location": h.path}), "blobs")
    with pytest.raises(FailedPrecondition, match="more than 10 redirects"):
        await puller.pull(f"{registry.host}/a")


async def test_a_redirect_from_https_to_http_is_refused(puller: Puller, image: TestImage, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with running(FakeRegistry(image)) as plain, running(FakeRegistry(image, tls=authority)) as registry:
        down = times(99, lambda h: h.answer(307, b"", {"Location": plain.url + h.path}), "blobs")
        registry.behaviour = down
        puller.hosts(registry.host, f'server = "{registry.url}"\nca = "{authority.ca}"\n')
        with pytest.raises(FailedPrecondition, match="from https to http"):
            await puller.pull(f"{registry.host}/a")
        assert plain.log == []


async def test_foreign_layers_get_no_credentials(
    puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with running(FakeRegistry(tls=authority)) as vendor:
        image = TestImage([{"a": b"foreign"}], urls=["http://127.0.0.1:1/plain", f"{vendor.url}/layers"])
        vendor.blobs = dict(image.blobs)
        with running(FakeRegistry(image)) as registry:
            registry.behaviour = basic
            del registry.blobs[image.layers[0]["digest"]]
            found = await puller.pull(f"{registry.host}/a", AUTH)
            assert puller.read(found, "a") == b"foreign"
        (headers,) = vendor.headers("/layers/")
        assert "authorization" not in headers


class Tokens:
    """A token server and the registry that wants its tokens."""

    def __init__(self, registry: FakeRegistry, server: FakeRegistry) -> None:
        self.registry, self.server = registry, server
        self.valid: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.uses = 10**9
        self.refuse_post = False
        registry.behaviour, server.behaviour = self.guard, self.issue

    def guard(self, handler: Handler) -> bool:
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.valid and self.uses > 0:
            self.uses -= 1
            return False
        self.valid.clear()
        challenge = f'Bearer realm="{self.server.url}/token",service="svc",scope="repository:a:pull"'
        handler.answer(401, b"", {"WWW-Authenticate": challenge})
        return True

    def issue(self, handler: Handler) -> bool:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        self.asked.append((f"{handler.command} {handler.path}", handler.headers.get("Authorization", ""), body))
        if handler.command == "POST" and self.refuse_post:
            handler.answer(405)
        elif "d3Jvbmc" in handler.headers.get("Authorization", ""):
            handler.answer(401, b'{"details":"incorrect username or password"}')
        else:
            token = f"token{len(self.asked)}"
            self.valid.add(token)
            self.uses = self.uses or 10**9
            handler.answer(200, json.dumps({"access_token" if body else "token": token}).encode())
        return True


@pytest.fixture
def tokens(registry: FakeRegistry) -> Iterator[Tokens]:
    with running(FakeRegistry()) as server:
        yield Tokens(registry, server)


async def test_token_anonymously_and_by_name(
    registry: FakeRegistry, tokens: Tokens, puller: Puller, image: TestImage
) -> None:
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    (request,) = tokens.asked
    assert request == ("GET /token?service=svc&scope=repository%3Aa%3Apull", "", "")
    assert len(registry.headers("manifests")) == 2, "one request without token, one with"
    await puller.pull(f"{registry.host}/a", AUTH)
    what, authorization, _ = tokens.asked[1]
    assert "account=user" in what and authorization == "Basic dXNlcjpodW50ZXIy"
    assert not any("Basic" in h.get("authorization", "") for _, _, h in registry.log)
    with pytest.raises(Unauthenticated, match="token server.*incorrect username"):
        await puller.pull(f"{registry.host}/a", RegistryAuth(username="wrong", password="x"))


async def test_identity_tokens(registry: FakeRegistry, tokens: Tokens, puller: Puller) -> None:
    await puller.pull(f"{registry.host}/a", RegistryAuth(identity_token="refresh&me"))
    ((what, authorization, body),) = tokens.asked
    assert (what, authorization) == ("POST /token", "")
    assert "grant_type=refresh_token" in body and "refresh_token=refresh%26me" in body and "service=svc" in body
    tokens.refuse_post = True
    await puller.pull(f"{registry.host}/a", RegistryAuth(identity_token="again"))
    assert [a[0].split("?")[0] for a in tokens.asked[1:]] == ["POST /token", "GET /token"]


async def test_registry_tokens(registry: FakeRegistry, tokens: Tokens, puller: Puller) -> None:
    tokens.valid.add("given")
    tokens.guard_clears = False
    original = tokens.guard

    def guard(handler: Handler) -> bool:
        tokens.valid.add("given")
        return original(handler)

    registry.behaviour = guard
    await puller.pull(f"{registry.host}/a", RegistryAuth(registry_token="given"))
    assert tokens.asked == []
    with pytest.raises(Unauthenticated):
        await puller.pull(f"{registry.host}/a", RegistryAuth(registry_token="bad"))


async def test_a_token_that_runs_out_is_renewed(
    registry: FakeRegistry, tokens: Tokens, puller: Puller, image: TestImage
) -> None:
    tokens.uses = 1
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert len(tokens.asked) >= 2


@pytest.mark.parametrize(
    ("challenge", "kind"),
    [
        ('Bearer realm="ftp://x/"', FailedPrecondition),
        ('Bearer realm="http://[::1"', FailedPrecondition),
        ("Bearer", FailedPrecondition),
        ("Digest realm=x", Unauthenticated),
        ('Basic realm="x"', Unauthenticated),
        ("", Unauthenticated),
    ],
)
async def test_challenges_that_cannot_be_met(
    registry: FakeRegistry, puller: Puller, challenge: str, kind: type[CricketError]
) -> None:
    registry.behaviour = times(99, lambda h: h.answer(401, b"", {"WWW-Authenticate": challenge}))
    with pytest.raises(kind):
        await puller.pull(f"{registry.host}/a")


async def test_no_secret_goes_to_a_token_server_without_tls(puller: Puller, image: TestImage, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with running(FakeRegistry()) as server, running(FakeRegistry(image, tls=authority)) as registry:
        Tokens(registry, server)
        puller.hosts(registry.host, f'server = "{registry.url}"\nca = "{authority.ca}"\n')
        with pytest.raises(FailedPrecondition, match="without TLS"):
            await puller.pull(f"{registry.host}/a", AUTH)
        assert server.log == []


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDenied), (404, NotFound), (400, FailedPrecondition)])
async def test_refusals(registry: FakeRegistry, puller: Puller, status: int, kind: type[CricketError]) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    puller.hosts(registry.host, f'server = "{registry.url}"\n')
    registry.behaviour = times(9, lambda h: h.answer(status, body), "manifests")
    with pytest.raises(kind, match="DENIED requested access"):
        await puller.pull(f"{registry.host}/a")
    assert len(registry.log) == 1, "no retry helps"


async def test_a_mirror_with_bad_content_is_passed_over(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    with running(FakeRegistry(image)) as mirror:
        puller.hosts(registry.host, f'server = "{registry.url}"\n[host."{mirror.url}"]\n')
        mirror.blobs = {name: noise(len(data), 5) for name, data in mirror.blobs.items()}
        assert (await puller.pull(f"{registry.host}/a")).id == image.id
        assert mirror.paths("blobs") and registry.paths("blobs") and not registry.paths("manifests")
        assert all(f"ns={registry.host.replace(':', '%3A')}" in path for path in mirror.paths())


async def test_a_mirror_that_stalls_hands_over_amid_a_blob(
    registry: FakeRegistry, puller: Puller, image: TestImage
) -> None:
    big = image.layers[0]["digest"]
    with running(FakeRegistry(image)) as mirror:
        puller.hosts(registry.host, f'server = "{registry.url}"\n[host."{mirror.url}"]\n')
        mirror.behaviour = times(99, cut(900_000), big)
        assert (await puller.pull(f"{registry.host}/a")).id == image.id
        assert registry.headers(big)[0]["range"] == "bytes=900000-"


async def test_a_registry_without_head(registry: FakeRegistry, puller: Puller, image: TestImage) -> None:
    await puller.pull(f"{registry.host}/a")
    registry.behaviour = lambda h: h.command == "HEAD" and (h.answer(405), True)[1]
    assert (await puller.pull(f"{registry.host}/a")).id == image.id
    assert [m for m, path, _ in registry.log if "manifests" in path] == ["GET", "HEAD", "GET"]


async def test_proxies(
    registry: FakeRegistry, puller: Puller, image: TestImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    monkeypatch.setenv("HTTP_PROXY", f"http://u:p@{registry.host}")
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:p@{registry.host}")
    monkeypatch.setenv("NO_PROXY", "other.test")
    puller.hosts("plain.test", 'server = "http://plain.test"\n')
    puller.hosts("safe.test", 'server = "https://safe.test:8443"\nskip_verify = true\n')
    assert (await puller.pull("plain.test/a")).id == image.id
    assert registry.paths()[0] == "http://plain.test/v2/a/manifests/latest"
    assert registry.log[0][2]["host"] == "plain.test" and registry.log[0][2]["proxy-authorization"] == "Basic dTpw"
    with running(FakeRegistry(image, tls=authority)) as target:
        registry.tunnel = target.host
        await puller.store.remove(image.id)
        assert (await puller.pull("safe.test/a", AUTH)).id == image.id
        assert target.log and not any("proxy-authorization" in h for _, _, h in target.log)
    connect = next(entry for entry in registry.log if entry[0] == "CONNECT")
    assert connect[1] == "safe.test:8443" and connect[2]["proxy-authorization"] == "Basic dTpw"


async def test_garbage_instead_of_http(puller: Puller) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(RegistryUnavailable):
            await puller.pull(f"{host}/a")
        puller.hosts(host, f'server = "http://{host}"\n')
        with pytest.raises(RegistryUnavailable, match="not HTTP"):
            await puller.pull(f"{host}/a")
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


async def test_secrets_are_in_no_error(registry: FakeRegistry, puller: Puller) -> None:
    registry.behaviour = lambda h: basic(h) or times(9, lambda g: g.answer(403))(h)
    with pytest.raises(PermissionDenied) as e:
        await puller.pull(f"{registry.host}/a", AUTH)
    assert "hunter2" not in str(e.value) and "aHVudGVyMg" not in str(e.value)
