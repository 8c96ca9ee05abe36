"""Checklist 28 to 32: images."""

from __future__ import annotations

import os
import socket

import grpc
import pytest
from conformance_kit import FOREVER, ConformanceNode, refused
from conformance_registry import odd_registry
from harness.images import Image, busybox_files
from harness.node import until
from harness.registry import Registry

from cricket.cri.outcome import refusal_of
from cricket.errors import Code, RROUnsupported, SignatureValidationFailed

pytestmark = pytest.mark.root


def _small(**config: object) -> Image:
    """An image of its own, by its random file."""
    return Image({"etc": None, "etc/passwd": b"app:x:77:78::/:/\n", "file": os.urandom(64)}, Cmd=["x"], **config)


def test_28_size_is_positive_and_uid_and_username_exclude_each_other(node: ConformanceNode, registry: Registry) -> None:
    seen = []
    for user in ("1234", "1234:99", "app", "app:app", ""):
        node.pull(registry.push("test/users", _small(User=user)))
        image = node.cri.call("ImageStatus", image={"image": f"{registry.host}/test/users"}).image
        assert image.size > 0 and not (image.HasField("uid") and image.username)
        seen.append((image.uid.value if image.HasField("uid") else None, image.username))
        node.cri.call("RemoveImage", image={"image": image.id})
    assert seen[:4] == [(1234, ""), (1234, ""), (None, "app"), (None, "app")]
    assert seen[4] in ((None, ""), (0, ""))


def test_29_removal_by_any_tag_drops_all_tags_at_once(node: ConformanceNode, registry: Registry) -> None:
    image = _small()
    references = [registry.push("test/tags", image, tag) for tag in ("a", "b", "c")]
    for name in (references[1], image.id, f"{registry.host}/test/tags@{image.digest}"):
        for reference in references:
            assert node.pull(reference) == image.id
        found = node.cri.call("ImageStatus", image={"image": references[0]}).image
        assert set(references) <= set(found.repo_tags)
        node.cri.call("RemoveImage", image={"image": name})
        for gone in (*references, image.id):
            assert not node.cri.call("ImageStatus", image={"image": gone}).HasField("image")
        assert image.id not in {item.id for item in node.cri.call("ListImages").images}


def test_29_an_image_in_use_can_be_removed(node: ConformanceNode, registry: Registry) -> None:
    reference = registry.push("test/used", Image(busybox_files(), {"own": os.urandom(16)}, Cmd=list(FOREVER)))
    image_id = node.pull(reference)
    container = node.run(node.run_pod(), node.container(reference))
    node.cri.call("RemoveImage", image={"image": reference})
    assert node.output(container, "cat", "/etc/passwd")
    assert node.status(container).image_id == image_id
    node.remove_pods()


def test_30_an_image_volume_is_named_by_the_image_id(
    node: ConformanceNode, image: str, handler: str, registry: Registry
) -> None:
    volume = Image({"dir": None, "dir/data": b"payload\n", "top": b"top\n"})
    reference = registry.push("test/volume", volume)
    node.pull(reference)
    mounts = [
        {"container_path": "/all", "image": {"image": reference}, "readonly": True},
        {"container_path": "/part", "image": {"image": volume.id}, "image_sub_path": "dir", "readonly": True},
    ]
    container = node.run(node.run_pod(handler=handler), node.container(image, *FOREVER, mounts=mounts))
    shown = {m.container_path: m.image.image for m in node.status(container).mounts if m.image.image}
    assert shown == {"/all": volume.id, "/part": volume.id}
    assert node.output(container, "cat", "/all/top", "/all/dir/data", "/part/data") == "top\npayload\npayload\n"
    assert node.exec(container, "touch", "/all/x").exit_code
    node.remove_pods()
    node.cri.call("RemoveImage", image={"image": volume.id})


def test_31_an_unreachable_registry_is_registry_unavailable(node: ConformanceNode) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused for certain
        with refused("UNKNOWN") as errors:
            node.pull(f"127.0.0.1:{unused.getsockname()[1]}/test/none:1")
    assert errors[0].text.startswith("RegistryUnavailable")


def test_31_a_failing_registry_is_registry_unavailable(node: ConformanceNode, registry: Registry) -> None:
    with odd_registry(_small(), registry.certs_dir) as odd:
        odd.answer = 503
        with refused("UNKNOWN") as errors:
            node.pull(f"{odd.host}/test/none:1")
    assert errors[0].text.startswith("RegistryUnavailable")


def test_31_an_image_volume_that_cannot_be_mounted(node: ConformanceNode, image: str) -> None:
    mount = {"container_path": "/v", "image": {"image": image}, "image_sub_path": "no/such", "readonly": True}
    with refused("UNKNOWN") as errors:
        node.create(node.run_pod(), node.container(image, *FOREVER, mounts=[mount]))
    assert errors[0].text.startswith("ImageVolumeMountFailed")


@pytest.mark.parametrize("kind", [SignatureValidationFailed, RROUnsupported])
def test_31_the_other_kinds_have_code_unknown_and_their_prefix(
    kind: type[SignatureValidationFailed] | type[RROUnsupported],
) -> None:
    """Nothing on this host provokes them: there are no signatures yet, and its runtimes can do all of it."""
    refusal = refusal_of(kind("something failed"), "PullImage")
    assert refusal.code is Code.UNKNOWN and refusal.text.startswith(kind.__name__)


def test_32_a_cancelled_pull_ends_and_leaves_nothing_in_the_way(node: ConformanceNode, registry: Registry) -> None:
    with odd_registry(_small(), registry.certs_dir) as odd:
        odd.stall = True
        pull = node.cri.start("PullImage", image={"image": f"{odd.host}/test/slow:1"})
        assert odd.stalled.wait(20), "the layer is not asked for"
        pull.cancel()
        assert odd.hung_up.wait(20), "the download goes on although nobody waits"
        with pytest.raises(grpc.FutureCancelledError):
            pull.result()
        odd.stall = False
        assert node.pull(f"{odd.host}/test/slow:1") == odd.image.id
        node.cri.call("RemoveImage", image={"image": odd.image.id})
    until(lambda: not os.listdir(node.root / "images" / "ingest"), "a partial download is left")


def test_32_a_retry_with_other_credentials_is_normal(node: ConformanceNode, registry: Registry) -> None:
    with odd_registry(_small(), registry.certs_dir) as odd:
        odd.credentials = "user:s3cr3t-enough"
        spec = {"image": f"{odd.host}/test/private:1"}
        for auth in ({}, {"username": "user", "password": "n0t-s3cr3t"}):
            with refused("UNAUTHENTICATED", "PERMISSION_DENIED", "UNKNOWN") as errors:
                node.cri.call("PullImage", image=spec, auth=auth)
            assert "n0t-s3cr3t" not in errors[0].text
        right = {"username": "user", "password": "s3cr3t-enough"}
        assert node.cri.call("PullImage", image=spec, auth=right).image_ref == odd.image.id
        assert "s3cr3t" not in node.daemon.log(1 << 20)
        node.cri.call("RemoveImage", image={"image": odd.image.id})
