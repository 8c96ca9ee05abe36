"""The store as a whole: names, removal, collection, leases, recovery, checking and repair."""

import asyncio
import os
import subprocess
import sys

import images_local_kit as kit
import pytest

from cricket.errors import Aborted, NotFound
from cricket.images.check import check
from cricket.images.content import digest_of
from cricket.images.store import ImageStore

pytestmark = pytest.mark.root
TAG, OTHER = "docker.io/library/x:1", "docker.io/library/x:2"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "images")


@pytest.fixture
def store(root):
    store = ImageStore(root, pinned=["x:1"])
    yield store
    store.close()


@pytest.fixture
def image(store):
    image = kit.Built({"a": b"1"}, {"b": b"2"})
    image.put(store, TAG)
    return image


def left(store):
    return store.content.list(), store.snapshots.layers.list_all(), os.listdir(os.path.join(store.root, "l"))


async def test_find_list_and_pins(store, image):
    kit.Built({"c": b"3"}).put(store, OTHER)
    assert store.find("x:1").id == image.id
    assert store.find("x:1").pinned and not store.find("x:2").pinned
    assert [i.pinned for i in store.list()].count(True) == 1
    assert store.find("nothing") is None
    assert store.find(image.id).config.cmd == ("/bin/sh",)
    assert store.find(image.id).size == len(image.manifest) + len(image.config) + sum(map(len, image.blobs))


async def test_removal_by_any_name_leaves_nothing(store, image):
    image.put(store, OTHER)
    usage = (await store.fs_usage())[0]
    assert usage.mountpoint == store.root and usage.used_bytes > 0 and usage.inodes > 6
    await store.remove("x:2")
    await store.remove("x:2")
    assert store.list() == []
    assert left(store) == ([], [], [])
    assert (await store.fs_usage())[0].used_bytes == 0


async def test_layers_shared_with_another_image_stay(store, image):
    other = kit.Built({"a": b"1"}, {"c": b"3"})
    other.put(store, OTHER)
    await store.remove(TAG)
    assert store.snapshots.layers.list() == sorted(other.chains)
    assert set(store.content.list()) == {digest_of(b) for b in (*other.blobs, other.config, other.manifest)}


async def test_layers_in_use_stay_until_the_snapshot_goes(store, image):
    store.snapshots.prepare("c", image.chain)
    await store.remove(TAG)
    assert store.snapshots.layers.list() == sorted(image.chains)
    assert store.snapshots.mounts("c").lowers
    store.snapshots.remove("c")
    await store.collect()
    assert left(store) == ([], [], [])


async def test_an_image_without_tags_stays_until_it_is_removed(store, image):
    newer = kit.Built({"a": b"9"})
    newer.put(store, TAG)
    await store.collect()
    assert store.find(image.id).tags == ()
    assert store.snapshots.has(image.chain)


async def test_a_lease_protects_what_a_pull_has_so_far(store):
    image = kit.Built({"a": b"1"})
    lease = store.lease()
    lease.add([digest_of(b) for b in image.blobs])
    store.content.put(image.blobs[0])
    joined = store.lease(lease.id)
    await store.collect()
    assert store.content.list() == [digest_of(image.blobs[0])]
    lease.release()
    await store.collect()
    assert store.content.list() != []
    joined.release()
    joined.release()
    await store.collect()
    assert store.content.list() == []
    with pytest.raises(Aborted):
        store.lease(lease.id)
    assert os.listdir(os.path.join(store.root, "leases")) == []


def test_a_lease_ends_with_its_process(store, root):
    data = b"blob"
    store.content.put(data)
    code = (
        "import sys, time; from cricket.images.leases import Lease; l = Lease(sys.argv[1]); l.add([sys.argv[2]]);"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, root, digest_of(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"held\n"
        asyncio.run(store.collect())
        assert store.content.list() == [digest_of(data)]
        child.kill()
    asyncio.run(store.collect())
    assert left(store)[0] == []


async def test_images_recorded_by_another_process_are_not_collected(store, root):
    """A command that loads while the daemon runs: the daemon's memory does not know the image yet."""
    other = ImageStore(root)
    image = kit.Built({"a": b"1"})
    image.put(other, TAG)
    await store.collect()
    assert store.find(TAG).id == image.id
    assert store.snapshots.has(image.chain)
    other.close()


async def test_stale_partials_and_staging_are_swept(store):
    digest = digest_of(b"abc")
    with store.content.writer(digest, 3) as w:
        w.write(b"a")
        os.utime(os.path.join(store.content.ingest, digest[7:]), (0, 0))
        await store.collect()
        assert os.listdir(store.content.ingest) == [digest[7:]]
    dead = os.path.join(store.snapshots.layers.staging, "0" * 64 + ".dead")
    os.mkdir(dead)
    os.utime(dead, (0, 0))
    os.utime(os.path.join(store.content.ingest, digest[7:]), (0, 0))
    with store.snapshots.new_layer("sha256:" + "1" * 64, "", "sha256:" + "1" * 64) as live:
        os.utime(os.path.dirname(live.path), (0, 0))
        await store.collect()
        assert os.path.isdir(live.path)
    assert os.listdir(store.content.ingest) == [] == os.listdir(store.snapshots.layers.staging)


async def test_compressed_layers_need_not_be_kept(root):
    store = ImageStore(root, keep_blobs=False)
    image = kit.Built({"a": b"1"})
    image.put(store, TAG)
    await store.collect()
    assert set(store.content.list()) == {image.id, image.digest}
    assert check(root) == []
    store.close()


async def test_after_a_power_loss_layers_are_unpacked_from_blobs(store, image, root, monkeypatch):
    lost = kit.Built({"lost": b"1"})
    lost.put(store, OTHER)
    store.content.delete(lost.parsed.layers[0].digest)
    store.close()
    monkeypatch.setattr("cricket.images.layer_store.boot_id", lambda: "the next boot")
    again = ImageStore(root)
    assert [i.id for i in await again.recover()] == [lost.id]
    assert [i.id for i in again.list()] == [image.id]
    assert again.snapshots.has(image.chain)
    await again.settle()
    await again.collect()
    assert check(root) == []
    again.close()


async def test_concurrent_removals(store):
    images = [kit.Built({f"f{i}": b"%d" % i}) for i in range(8)]
    for n, image in enumerate(images):
        image.put(store, f"docker.io/library/y:{n}")
    await asyncio.gather(*(store.remove(image.id) for image in images))
    assert left(store) == ([], [], [])


def kinds(findings):
    return sorted({f.kind for f in findings})


async def test_a_sound_store_has_no_findings(store, image, root):
    store.snapshots.prepare("c", image.chain)
    assert check(root) == []
    assert check(root, repair=True) == []


async def test_a_damaged_blob_is_found_and_deleted(store, image, root):
    path = store.content.path(image.parsed.layers[0].digest)
    with open(path, "r+b") as f:
        f.write(b"damage")
    assert kinds(check(root)) == ["blob", "image"]
    assert os.path.exists(path)
    assert kinds(check(root, repair=True)) == ["blob", "image"]
    assert not os.path.exists(path)
    assert check(root) == []


@pytest.mark.parametrize("what", ["id", "digest"])
async def test_an_image_without_its_documents_is_forgotten(store, image, root, what):
    store.content.delete(getattr(image, what))
    findings = check(root, repair=True)
    assert "image" in kinds(findings) and "orphan" in kinds(findings)
    store.index.reload()
    assert store.list() == []
    assert left(store)[:2] == ([], [])


async def test_a_layer_that_lost_files_is_unpacked_again(store, image, root):
    fs = os.path.join(store.snapshots.layers.path(image.chains[0]), "fs")
    os.unlink(os.path.join(fs, "a"))
    assert kinds(check(root)) == ["layer"]
    found = check(root, repair=True)
    assert kinds(found) == ["image", "layer"] and all(f.outcome for f in found)
    assert os.path.exists(os.path.join(fs, "a"))
    assert check(root) == []


async def test_a_damaged_layer_in_use_is_left_alone(store, image, root):
    store.snapshots.prepare("c", image.chain)
    os.unlink(os.path.join(store.snapshots.layers.path(image.chains[0]), "fs", "a"))
    (finding,) = check(root, repair=True)
    assert finding.kind == "layer" and "in use by c" in finding.outcome


async def test_a_damaged_layer_without_a_blob_makes_the_image_forgotten(store, image, root):
    os.unlink(os.path.join(store.snapshots.layers.path(image.chains[0]), "fs", "a"))
    store.content.delete(image.parsed.layers[0].digest)
    check(root, repair=True)
    store.index.reload()
    assert store.list() == []
    image.put(store, TAG)
    assert check(root) == []


async def test_a_damaged_index_is_set_aside(store, image, root):
    store.close()
    for suffix in ("-wal", "-shm"):
        if os.path.exists(f"{root}/images.db{suffix}"):
            os.unlink(f"{root}/images.db{suffix}")
    with open(f"{root}/images.db", "wb") as f:
        f.write(b"nonsense" * 1000)
    assert kinds(check(root)) == ["index"]
    assert "index" in kinds(check(root, repair=True))
    assert check(root) == []
    assert os.path.exists(f"{root}/images.db.damaged")


async def test_a_snapshot_without_layers_is_reported(store, image, root):
    store.snapshots.prepare("c", image.chain)
    store.snapshots.remove_layer(image.chain)
    assert {"snapshot", "image"} <= set(kinds(check(root)))


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(NotFound):
        check(str(tmp_path / "nothing"))
    assert os.listdir(tmp_path) == []


async def test_orphans_are_reported_and_deleted(store, image, root):
    store.content.put(b"orphan")
    assert [f.harmless for f in check(root)] == [True]
    check(root, repair=True)
    assert check(root) == []
