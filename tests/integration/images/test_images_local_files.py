"""Load, save and import, with skopeo and umoci on the other side."""

import contextlib
import functools
import gzip
import io
import json
import os
import socket
import subprocess
import tarfile

import images_local_kit as kit
import msgspec
import pytest
import zstandard

from cricket.errors import AlreadyExists, CricketError, DataLoss, FailedPrecondition, InvalidArgument, NotFound
from cricket.images.check import check
from cricket.images.import_rootfs import import_rootfs
from cricket.images.load import load
from cricket.images.remote.manifest import DOCKER_MANIFEST
from cricket.images.save import save
from cricket.images.store import ImageStore
from cricket.kernel import mounts
from cricket.types.image import ImageConfig

pytestmark = pytest.mark.root
TAG, OTHER = "docker.io/library/x:1", "example.com:5000/y/x:2"


@pytest.fixture
def make(tmp_path):
    with contextlib.ExitStack() as stack:

        def build(name="images", **options):
            store = ImageStore(str(tmp_path / name), **options)
            stack.callback(store.close)
            return store

        yield build


@pytest.fixture
def store(make):
    return make()


def run(*argv):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE).stdout


def skopeo_copy(source, target):
    run("skopeo", "copy", "--insecure-policy", "--quiet", source, target)


def image():
    return kit.Built({"etc": None, "etc/a": b"1" * 3000}, {"etc/.wh.a": b"", "b": b"2"}, config={"Env": ["K=v"]})


def whole(store, name, built):
    found = store.find(name)
    assert found is not None and found.id == built.id and found.chain_id == built.chain
    assert store.snapshots.has(built.chain)
    assert found.config.env == ("K=v",)
    assert check(store.root) == []
    return found


@pytest.mark.parametrize("format", ["oci-dir", "oci-archive", "docker-archive"])
def test_save_and_load_again(make, tmp_path, format):
    store, built, path = make("one"), image(), str(tmp_path / "saved")
    built.put(store, TAG, OTHER)
    assert [i.id for i in save(store, ["x:1", built.id], path, format)] == [built.id]
    other = make("two")
    load(other, path)
    load(other, path)
    found = whole(other, OTHER, built)
    assert set(found.tags) == {TAG, OTHER}
    assert f"example.com:5000/y/x@{found.manifest_digest}" in found.digests
    if format != "docker-archive":
        assert found.manifest_digest == built.digest


def test_only_the_named_tags_are_saved(make, tmp_path):
    store, built = make("one"), image()
    built.put(store, TAG, OTHER)
    save(store, ["x:1"], str(tmp_path / "saved"))
    other = make("two")
    (found,) = load(other, str(tmp_path / "saved"))
    assert found.tags == (TAG,)


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_skopeo_reads_what_is_saved(store, tmp_path, transport):
    built, path = image(), tmp_path / "saved"
    built.put(store, TAG)
    save(store, [TAG], str(path), "oci-dir" if transport == "oci" else transport)
    skopeo_copy(f"{transport}:{path}:{TAG}", f"dir:{tmp_path / 'out'}")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["config"]["digest"] == built.id
    assert len(manifest["layers"]) == 2


@pytest.mark.parametrize("transport", ["oci", "oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_read(make, store, tmp_path, transport):
    built = image()
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "source"), "oci-dir")
    target = tmp_path / "target"
    skopeo_copy(f"oci:{tmp_path / 'source'}:{TAG}", f"{transport}:{target}:{TAG}")
    other = make("two")
    load(other, str(target))
    whole(other, TAG, built)


def test_an_image_with_dockers_types_is_saved_with_ocis(make, store, tmp_path):
    built = image()
    docker = msgspec.json.decode(built.manifest)
    docker["mediaType"] = DOCKER_MANIFEST
    docker["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for layer in docker["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    built.manifest = msgspec.json.encode(docker)
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "saved"))
    skopeo_copy(f"oci-archive:{tmp_path / 'saved'}:{TAG}", f"dir:{tmp_path / 'out'}")
    assert "docker" not in (tmp_path / "out/manifest.json").read_text()
    other = make("two")
    load(other, str(tmp_path / "saved"))
    whole(other, TAG, built)


def test_umoci_unpacks_what_is_saved(store, tmp_path):
    built = image()
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "saved"), "oci-dir")
    skopeo_copy(f"oci:{tmp_path / 'saved'}:{TAG}", f"oci:{tmp_path / 'short'}:short")
    run("umoci", "unpack", "--image", f"{tmp_path / 'short'}:short", tmp_path / "bundle")
    umoci = tmp_path / "bundle/rootfs"
    (tmp_path / "m").mkdir()
    mounts.perform(store.snapshots.view("v", built.chain), str(tmp_path / "m"))
    try:
        run("diff", "-r", umoci, tmp_path / "m")
        assert (tmp_path / "m/b").read_bytes() == b"2"
    finally:
        mounts.unmount(str(tmp_path / "m"))


def test_what_umoci_writes_is_read(store, tmp_path):
    layout, rootfs = tmp_path / "layout", tmp_path / "rootfs"
    rootfs.mkdir()
    (rootfs / "hello").write_text("hi")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:v1")
    run("umoci", "insert", "--image", f"{layout}:v1", rootfs, "/data")
    run("umoci", "config", "--image", f"{layout}:v1", "--config.cmd", "/data/hello", "--config.user", "7:8")
    (found,) = load(store, str(layout), name="mine:v1")
    assert found.tags == ("docker.io/library/mine:v1",)
    assert (found.config.cmd, found.config.user) == (("/data/hello",), "7:8")
    assert check(store.root) == []


def test_a_layout_with_only_a_tag_needs_a_name(store, tmp_path):
    built = image()
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "saved"), "oci-dir")
    index = json.loads((tmp_path / "saved/index.json").read_text())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "v7"}
    (tmp_path / "saved/index.json").write_text(json.dumps(index))
    store.index.remove(built.id)
    (found,) = load(store, str(tmp_path / "saved"))
    assert found.tags == ()
    assert store.find(built.id[7:19]) == found


@pytest.mark.parametrize("compress", [functools.partial(gzip.compress, mtime=0), zstandard.ZstdCompressor().compress])
def test_a_compressed_archive(make, store, tmp_path, compress):
    built = image()
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "saved"), "docker-archive")
    (tmp_path / "packed").write_bytes(compress((tmp_path / "saved").read_bytes()))
    other = make("two")
    load(other, str(tmp_path / "packed"))
    whole(other, TAG, built)
    (tmp_path / "cut").write_bytes((tmp_path / "packed").read_bytes()[:-30])
    with pytest.raises(DataLoss):
        load(make("three"), str(tmp_path / "cut"))


def write_tar(path, members):
    with tarfile.open(path, "w") as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))


def test_old_docker_archives_link_equal_layers(store, tmp_path):
    layer = {"a": b"1"}
    built = kit.Built(layer, layer, compress=lambda d: d, config={"Env": ["K=v"]})
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    write_tar(
        tmp_path / "a.tar",
        {"one/layer.tar": built.blobs[0], "two/layer.tar": "../one/layer.tar", "c.json": built.config,
         "manifest.json": json.dumps(manifest).encode()},
    )  # fmt: skip
    load(store, str(tmp_path / "a.tar"))
    whole(store, TAG, built)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({}, DataLoss),
        ({"manifest.json": b"{"}, DataLoss),
        ({"manifest.json": b'[{"Config":"missing.json","Layers":[]}]'}, NotFound),
        ({"manifest.json": b'[{"Config":"../../../etc/passwd","Layers":[]}]'}, NotFound),
        ({"manifest.json": b'[{"Config":"c","Layers":[]}]', "c": "/etc/passwd"}, NotFound),
        ({"manifest.json": b'[{"Config":"c","Layers":["c"]}]', "c": b"{}"}, DataLoss),
        ({"oci-layout": b"{}", "index.json": b"[]"}, CricketError),
    ],
)
def test_bad_archives_are_told(store, tmp_path, members, kind):
    write_tar(tmp_path / "bad.tar", members)
    with pytest.raises(kind):
        load(store, str(tmp_path / "bad.tar"))
    assert store.list() == []


def test_what_cannot_be_loaded_or_saved(store, tmp_path):
    (tmp_path / "text").write_text("hello")
    for path, kind in (("missing", NotFound), ("text", DataLoss), (".", DataLoss)):
        with pytest.raises(kind):
            load(store, str(tmp_path / path))
    with pytest.raises(NotFound):
        save(store, ["nothing"], str(tmp_path / "out"))
    built = image()
    built.put(store, TAG)
    with pytest.raises(InvalidArgument):
        save(store, [TAG], str(tmp_path / "out"), "zip")
    with pytest.raises(AlreadyExists):
        save(store, [TAG], str(tmp_path / "text"))
    store.content.delete(built.parsed.layers[0].digest)
    for format in ("oci-dir", "oci-archive", "docker-archive"):
        with pytest.raises(FailedPrecondition):
            save(store, [TAG], str(tmp_path / "out"), format)
    assert sorted(os.listdir(tmp_path)) == ["images", "text"]


def test_a_directory_with_a_hostile_link_is_refused(store, tmp_path):
    built = image()
    built.put(store, TAG)
    save(store, [TAG], str(tmp_path / "saved"), "oci-dir")
    blob = tmp_path / "saved/blobs/sha256" / built.id[7:]
    (tmp_path / "secret").write_bytes(blob.read_bytes())
    blob.unlink()
    blob.symlink_to(tmp_path / "secret")
    store.index.remove(built.id)
    store.content.delete(built.id)
    with pytest.raises(NotFound):
        load(store, str(tmp_path / "saved"))


def test_import_a_directory(store, tmp_path):
    tree = tmp_path / "tree"
    run("cp", "-a", "/etc", tree)
    os.setxattr(tree / "passwd", "user.x", b"\xff\x00bin")
    os.link(tree / "passwd", tree / "again")
    os.utime(tree / "passwd", ns=(5, 1_234_567_890_123_456_789))
    os.chown(tree / "passwd", 12, 34)
    (tree / "link").symlink_to("/nowhere")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tree / "socket"))
    config = ImageConfig(cmd=("/bin/sh",), env=("A=b",), labels={"k": "v"}, exposed_ports=("80/tcp",))
    found = import_rootfs(store, str(tree), "mine", config)
    assert found.tags == ("docker.io/library/mine:latest",)
    assert found.config == config
    fs = os.path.join(store.snapshots.layers.path(found.chain_id), "fs")
    (tree / "socket").unlink()
    run("diff", "-r", "--no-dereference", tree, fs)
    info = os.stat(fs + "/passwd")
    assert (info.st_uid, info.st_gid, info.st_nlink) == (12, 34, 2)
    assert info.st_mtime_ns == 1_234_567_890_123_456_789
    assert os.getxattr(fs + "/passwd", "user.x") == b"\xff\x00bin"
    assert check(store.root) == []
    one, two = import_rootfs(store, str(tree), "mine"), import_rootfs(store, str(tree), "mine")
    assert one.chain_id == two.chain_id


@pytest.mark.parametrize("compress", [lambda d: d, gzip.compress, zstandard.ZstdCompressor().compress])
def test_import_a_tar(store, tmp_path, compress):
    (tmp_path / "root.tar").write_bytes(compress(kit.tar({"bin": None, "bin/x": b"1"})))
    found = import_rootfs(store, str(tmp_path / "root.tar"), "localhost/mine:1")
    assert store.find("localhost/mine:1") == found
    assert check(store.root) == []
    save(store, [found.id], str(tmp_path / "out"))
    skopeo_copy(f"oci-archive:{tmp_path / 'out'}:localhost/mine:1", f"dir:{tmp_path / 'dir'}")


def test_what_cannot_be_imported(store, tmp_path):
    (tmp_path / "text").write_text("hello" * 200)
    for path, name, kind in (("missing", "x", NotFound), ("text", "x", DataLoss), ("text", "NOT OK", InvalidArgument)):
        with pytest.raises(kind):
            import_rootfs(store, str(tmp_path / path), name)
    assert store.list() == []
