"""Pulls from Debian's docker-registry: formats, authorization, TLS, mirrors."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from remote_support import (
    DOCKER_LIST,
    OCI_INDEX,
    Authority,
    DockerRegistry,
    Puller,
    TestImage,
    free_port,
    htpasswd,
    index_of,
    noise,
)
from remote_support import (
    digest as digest_of,
)

from cricket.errors import FailedPrecondition, NotFound, RegistryUnavailable, Unauthenticated
from cricket.types.image import RegistryAuth

pytestmark = pytest.mark.root


@pytest_asyncio.fixture
async def puller(tmp_path: Path) -> AsyncIterator[Puller]:
    found = Puller(tmp_path)
    yield found
    await found.service.close()
    found.store.close()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    found = DockerRegistry(tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()


@pytest.mark.parametrize(("compression", "docker"), [("gzip", False), ("gzip", True), ("zstd", False), ("", False)])
async def test_formats(registry: DockerRegistry, puller: Puller, compression: str, docker: bool) -> None:
    name = f"{registry.host}/formats-{compression or 'tar'}-{docker}".lower()
    image = TestImage(
        [{f"file{n}": noise(70_000, n)} for n in range(5)],
        compression=compression,
        docker=docker,
        Env=["A=b"],
        Cmd=["/bin/x"],
        User="1000",
    )
    registry.push(name.partition("/")[2], "v1", image)
    found = await puller.pull(f"{name}:v1")
    assert found.id == image.id
    assert (found.tags, found.digests) == ((f"{name}:v1",), (f"{name}@{image.digest}",))
    assert (found.config.env, found.config.cmd, found.config.user) == (("A=b",), ("/bin/x",), "1000")
    assert found.size == len(image.manifest) + sum(len(blob) for blob in image.blobs.values())
    assert puller.read(found, "file3") == noise(70_000, 3)
    assert puller.outcomes[0].downloaded == sum(layer["size"] for layer in image.layers)
    assert puller.outcomes[0].error is None and puller.outcomes[0].seconds > 0


async def test_a_tag_is_always_asked_for_and_nothing_is_downloaded_twice(
    registry: DockerRegistry, puller: Puller
) -> None:
    base, first, second = {"base": noise(50_000)}, {"top": b"1"}, {"top": b"2"}
    registry.push("moving", "v", one := TestImage([base, first]))
    name = f"{registry.host}/moving:v"
    assert (await puller.pull(name)).id == one.id
    assert (await puller.pull(name)).id == one.id
    assert puller.outcomes[1].downloaded == 0
    registry.push("moving", "v", two := TestImage([base, second]))
    image = await puller.pull(name)
    assert image.id == two.id and puller.read(image, "top") == b"2"
    assert puller.outcomes[2].downloaded == two.layers[1]["size"], "the base is here"
    old = puller.store.find(one.id)
    assert old is not None and old.tags == () and old.digests == (f"{registry.host}/moving@{one.digest}",)


@pytest.mark.parametrize("docker", [False, True])
async def test_index_and_digests(registry: DockerRegistry, puller: Puller, docker: bool) -> None:
    repository = f"index-{docker}".lower()
    mine, other = (TestImage([{"a": a.encode()}], docker=docker, architecture=a) for a in (_architecture(), "s390x"))
    body = index_of(other, mine, docker=docker)
    for image in (mine, other):
        registry.push(repository, image.digest, image)
    registry.push(repository, "all", mine, body=body, media_type=DOCKER_LIST if docker else OCI_INDEX)
    image = await puller.pull(f"{registry.host}/{repository}:all")
    assert image.id == mine.id
    (digest,) = image.digests
    assert digest.endswith("@" + digest_of(body))
    outcomes = len(puller.outcomes)
    assert (await puller.pull(digest)).id == mine.id
    assert len(puller.outcomes) == outcomes, "a digest that is here asks nobody"
    by_manifest = await puller.pull(f"{registry.host}/{repository}:whatever@{mine.digest}")
    assert by_manifest.id == mine.id and f"{registry.host}/{repository}@{mine.digest}" in by_manifest.digests
    assert by_manifest.tags == (f"{registry.host}/{repository}:all",), "a tag beside a digest is not recorded"


async def test_no_such_platform(registry: DockerRegistry, puller: Puller) -> None:
    other = TestImage([{"a": b"x"}], architecture="s390x")
    registry.push("foreign", other.digest, other)
    registry.push("foreign", "all", other, body=index_of(other), media_type=OCI_INDEX)
    with pytest.raises(NotFound, match="linux/s390x"):
        await puller.pull(f"{registry.host}/foreign:all")


async def test_missing_images(registry: DockerRegistry, puller: Puller) -> None:
    with pytest.raises(NotFound, match="404"):
        await puller.pull(f"{registry.host}/nothing-here")
    assert isinstance(puller.outcomes[0].error, NotFound)


async def test_nobody_listens(puller: Puller) -> None:
    host = f"127.0.0.1:{free_port()}"
    puller.be_quick()
    with pytest.raises(RegistryUnavailable, match="(?i)connection refused") as e:
        await puller.pull(f"{host}/a")
    assert str(e.value).startswith("RegistryUnavailable: ")


async def test_empty_layers_and_same_layer_twice(registry: DockerRegistry, puller: Puller) -> None:
    image = TestImage([{"a": b"1"}, {}, {"a": b"2"}, {}, {"a": b"1"}])
    registry.push("twice", "v", image)
    assert puller.read(await puller.pull(f"{registry.host}/twice:v"), "a") == b"1"
    none = TestImage([])
    registry.push("none", "v", none)
    assert (await puller.pull(f"{registry.host}/none:v")).chain_id == ""


async def test_basic_auth(tmp_path: Path, puller: Puller) -> None:
    path = htpasswd(tmp_path / "auth", "user", "pa:ss")
    registry = DockerRegistry(tmp_path / "r", {"auth": {"htpasswd": {"realm": "x", "path": str(path)}}})
    try:
        secret = base64.b64encode(b"user:pa:ss").decode()
        image = TestImage([{"a": b"x"}])
        registry.push("private/app", "v", image, auth=f"Basic {secret}")
        name = f"{registry.host}/private/app:v"
        with pytest.raises(Unauthenticated, match="401.*imagePullSecret"):
            await puller.pull(name)
        with pytest.raises(Unauthenticated):
            await puller.pull(name, RegistryAuth(username="user", password="wrong"))
        with pytest.raises(Unauthenticated):
            await puller.pull(name, RegistryAuth(username="user", password="pa:ss", server_address="other.local"))
        assert (await puller.pull(name, RegistryAuth(username="user", password="pa:ss"))).id == image.id
        await puller.store.remove(image.id)
        assert (await puller.pull(name, RegistryAuth(auth=secret, server_address=f"https://{registry.host}"))).id
        await puller.store.remove(image.id)
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {f"{registry.host}/private": {"auth": secret}}}))
        assert (await puller.pull(name)).id == image.id
    finally:
        registry.stop()


async def test_tls_with_an_own_ca(tmp_path: Path, puller: Puller) -> None:
    authority = Authority(tmp_path / "ca")
    registry = DockerRegistry(tmp_path / "r", tls=authority)
    try:
        image = TestImage([{"a": b"x"}])
        registry.push("app", "v", image)
        puller.hosts(registry.host, f'server = "https://{registry.host}"\n')
        with pytest.raises(FailedPrecondition, match="certificate is not trusted.*hosts.toml"):
            await puller.pull(f"{registry.host}/app:v")
        puller.hosts(registry.host, f'server = "https://{registry.host}"\nca = "{authority.ca}"\n')
        assert (await puller.pull(f"{registry.host}/app:v")).id == image.id
        await puller.store.remove(image.id)
        (tmp_path / "certs.d" / registry.host / "hosts.toml").write_text("")
        (tmp_path / "registries.conf").write_text(f'[[registry]]\nprefix = "app.local"\nlocation = "{registry.host}"')
        assert (await puller.pull("app.local/app:v")).id == image.id, "loopback: any certificate"
    finally:
        registry.stop()


async def test_tls_with_client_certificates(tmp_path: Path, puller: Puller) -> None:
    authority = Authority(tmp_path / "ca", wants_client=True)
    registry = DockerRegistry(tmp_path / "r", tls=authority)
    puller.be_quick()
    try:
        image = TestImage([{"a": b"x"}])
        registry.push("app", "v", image)
        with pytest.raises(RegistryUnavailable):
            await puller.pull(f"{registry.host}/app:v")
        directory = tmp_path / "certs.d" / registry.host
        directory.mkdir(parents=True)
        (directory / "x.crt").write_bytes(authority.ca.read_bytes())
        (directory / "node.cert").write_bytes(authority.client_cert.read_bytes())
        (directory / "node.key").write_bytes(authority.client_key.read_bytes())
        assert (await puller.pull(f"{registry.host}/app:v")).id == image.id
    finally:
        registry.stop()


async def test_mirrors_are_tried_in_order(registry: DockerRegistry, puller: Puller, tmp_path: Path) -> None:
    image = TestImage([{"a": b"mirrored"}])
    registry.push("hub/library/thing", "v", image)
    other = DockerRegistry(tmp_path / "other")
    try:
        puller.hosts(
            "docker.io",
            f'server = "http://127.0.0.1:{free_port()}"\n'
            f'[host."http://127.0.0.1:{free_port()}"]\n'
            f'[host."http://{other.host}"]\n'
            f'[host."http://{registry.host}/v2/hub"]\noverride_path = true\n',
        )
        found = await puller.pull("thing:v")
        assert found.id == image.id and found.tags == ("docker.io/library/thing:v",)
        puller.be_quick()
        with pytest.raises(RegistryUnavailable, match="also tried.*404"):
            await puller.pull("missing:v")
    finally:
        other.stop()


async def test_mirrors_of_registries_conf_and_short_names(
    registry: DockerRegistry, puller: Puller, tmp_path: Path
) -> None:
    image = TestImage([{"a": b"x"}])
    registry.push("cache/team/app", "latest", image)
    (tmp_path / "registries.conf").write_text(
        'unqualified-search-registries = ["nowhere.invalid", "corp.local"]\n'
        f'[[registry]]\nprefix = "nowhere.invalid"\nlocation = "127.0.0.1:{free_port()}"\n'
        f'[[registry]]\nlocation = "corp.local"\n[[registry.mirror]]\nlocation = "{registry.host}/cache"\n'
    )
    (tmp_path / "registries.conf.d").mkdir()
    (tmp_path / "registries.conf.d" / "a.conf").write_text('[aliases]\n"nick" = "corp.local/team/app"')
    puller.be_quick(attempts=1)
    assert (await puller.pull("nick")).tags == ("corp.local/team/app:latest",)
    await puller.store.remove(image.id)
    assert (await puller.pull("team/app")).tags == ("corp.local/team/app:latest",)
    assert [str(r) for r in puller.service.candidates("team/app")][1] == "corp.local/team/app:latest"


async def test_broken_configuration_fails_the_pull_and_names_the_file(puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "registries.conf").write_text("nonsense")
    with pytest.raises(FailedPrecondition, match=r"registries\.conf"):
        await puller.pull("r.local/a")
    with pytest.raises(FailedPrecondition, match=r"registries\.conf"):
        await puller.pull("short")


async def test_annotations_are_kept(registry: DockerRegistry, puller: Puller) -> None:
    registry.push("noted", "v", TestImage([{"a": b"noted"}]))
    name = f"{registry.host}/noted:v"
    await puller.service.pull(name, None, {"a": "1"})
    await puller.service.pull(name, None, {"a": "2"})
    image = puller.store.find(name)
    assert image is not None and image.annotations == {"a": "2"}


def _architecture() -> str:
    from cricket.images.remote.platform import host_platform

    return host_platform().architecture
