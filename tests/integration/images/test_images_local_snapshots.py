"""Snapshots on real overlay mounts: what a container would see."""

import contextlib
import os
import stat
import subprocess
import tarfile
import threading

import images_local_kit as kit
import pytest

from cricket.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidArgument, NotFound
from cricket.images.layer_store import LayerStore
from cricket.images.layers import apply_layer
from cricket.images.snapshots import Snapshots
from cricket.images.store import ImageStore
from cricket.kernel import mounts

pytestmark = pytest.mark.root
TAG = "docker.io/library/x:1"


@pytest.fixture
def store(tmp_path):
    store = ImageStore(str(tmp_path / "images"))
    yield store
    store.close()


@contextlib.contextmanager
def mounted(mount, target):
    os.makedirs(target, exist_ok=True)
    mounts.perform(mount, str(target))
    try:
        yield target
    finally:
        mounts.unmount(str(target))


def links_to(target):
    def change(info):
        info.type, info.linkname = tarfile.SYMTYPE, target

    return change


def test_layers_merge_and_writes_stay_on_top(store, tmp_path):
    image = kit.Built(
        {"a": b"1", "gone": b"x", "d": None, "d/old": b"x", "e": None, "e/kept": b"k"},
        {"a": b"2", ".wh.gone": b"", "d/.wh..wh..opq": b"", "d/new": b"n", "e/added": b"z"},
    )
    image.put(store, TAG)
    mount = store.snapshots.prepare("c1", image.chain)
    with mounted(mount, tmp_path / "m") as m:
        assert (m / "a").read_bytes() == b"2"
        assert sorted(os.listdir(m)) == ["a", "d", "e"]
        assert os.listdir(m / "d") == ["new"]
        assert sorted(os.listdir(m / "e")) == ["added", "kept"]
        (m / "written").write_bytes(b"w" * 100_000)
        (m / "a").unlink()
    assert store.snapshots.mounts("c1") == mount
    usage = store.snapshots.usage("c1")
    assert usage.used_bytes >= 100_000 and usage.inodes == 3
    other = store.snapshots.prepare("c2", image.chain)
    with mounted(other, tmp_path / "m") as m:
        assert (m / "a").read_bytes() == b"2"
    for key in ("c1", "c2", "c1"):
        store.snapshots.remove(key)
    assert store.snapshots.list_active() == []
    with pytest.raises(NotFound):
        store.snapshots.mounts("c1")


def test_prepare_is_idempotent_and_keys_are_exclusive(store):
    one, two = kit.Built({"a": b"1"}), kit.Built({"a": b"2"})
    one.put(store), two.put(store)
    first = store.snapshots.prepare("k", one.chain)
    (lambda p: open(p, "w").close())(os.path.join(first.upper, "kept"))
    assert store.snapshots.prepare("k", one.chain) == first
    assert os.listdir(first.upper) == ["kept"]
    for call in (lambda: store.snapshots.prepare("k", two.chain), lambda: store.snapshots.view("k", one.chain)):
        with pytest.raises(AlreadyExists):
            call()
    for bad in ("", "../x", "a/b", ".hidden", "x" * 300):
        with pytest.raises(InvalidArgument):
            store.snapshots.prepare(bad, one.chain)
    with pytest.raises(NotFound):
        store.snapshots.prepare("z", "sha256:" + "0" * 64)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_views_are_read_only(store, tmp_path, layers):
    image = kit.Built(*({f"f{i}": b"1"} for i in range(layers)))
    image.put(store)
    mount = store.snapshots.view("v", image.chain)
    assert store.snapshots.view("v", image.chain) == mount
    with mounted(mount, tmp_path / "m") as m:
        assert len(os.listdir(m)) == layers
        with pytest.raises(OSError, match="Read-only"):
            (m / "x").touch()
    assert store.snapshots.usage("v").inodes == 1


def test_an_image_without_layers_is_writable(store, tmp_path):
    image = kit.Built()
    image.put(store, TAG)
    with mounted(store.snapshots.prepare("k", image.chain), tmp_path / "m") as m:
        (m / "x").touch()
        assert stat.S_IMODE(m.stat().st_mode) == 0o755


def test_the_top_directory_looks_as_the_image_says(store, tmp_path):
    def top(info):
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, 0o710, 5, 6

    image = kit.Built({"./": top}, {"f": b"1"})
    image.put(store)
    with mounted(store.snapshots.prepare("k", image.chain), tmp_path / "m") as m:
        info = m.stat()
        assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o710, 5, 6)
    owned = store.snapshots.prepare("u", image.chain, owner=(100000, 100001))
    assert (os.stat(owned.upper).st_uid, os.stat(owned.work).st_gid) == (100000, 100001)


def test_implied_directories_look_as_below(store, tmp_path):
    def sticky(info):
        info.type, info.mode, info.gid, info.mtime = tarfile.DIRTYPE, 0o1777, 9, 1234

    image = kit.Built(
        {"tmp": sticky, "gone": sticky, "opaque": sticky, "opaque/sub": sticky},
        {".wh.gone": b"", "opaque/.wh..wh..opq": b""},
        {"tmp/f": b"1", "gone/f": b"1", "opaque/sub/f": b"1"},
    )
    image.put(store)
    with mounted(store.snapshots.prepare("k", image.chain), tmp_path / "m") as m:
        info = (m / "tmp").stat()
        assert (stat.S_IMODE(info.st_mode), info.st_gid, int(info.st_mtime)) == (0o1777, 9, 1234)
        assert stat.S_IMODE((m / "gone").stat().st_mode) == 0o755
        assert stat.S_IMODE((m / "opaque").stat().st_mode) == 0o1777
        assert stat.S_IMODE((m / "opaque/sub").stat().st_mode) == 0o755


def test_an_opaque_top_hides_everything_below(store, tmp_path):
    image = kit.Built({"below": b"1"}, {".wh..wh..opq": b"", "new": b"2"})
    image.put(store)
    with mounted(store.snapshots.prepare("k", image.chain), tmp_path / "m") as m:
        assert os.listdir(m) == ["new"]


def test_more_than_a_hundred_layers_fit(store, tmp_path):
    image = kit.Built(*({f"f{i}": b"%d" % i} for i in range(127)))
    image.put(store)
    mount = store.snapshots.prepare("k", image.chain)
    assert len(mount.lowers) == 127
    with mounted(mount, tmp_path / "m") as m:
        assert len(os.listdir(m)) == 127
    # The old way, one string of options, from a directory like the one that users have.
    assert len(":".join(p.replace(store.root, "/var/lib/cricket/images") for p in mount.lowers)) < 4095


def test_a_hostile_symlink_in_a_layer_does_not_lead_the_mount_out(store, tmp_path):
    image = kit.Built({"etc": links_to("../../../../..")}, {"etc/x": b"1"})
    image.put(store)
    with mounted(store.snapshots.prepare("k", image.chain), tmp_path / "m") as m:
        assert os.listdir(m / "etc") == ["x"]


def unpack(layers, image, n=0):
    parent = image.chains[n - 1] if n else ""
    with layers.new(image.chains[n], parent, image.diff_ids[n]) as new:
        import io

        result = apply_layer(io.BytesIO(image.blobs[n]), new.path)
        new.commit(result)


def test_two_at_once_both_succeed(tmp_path):
    image = kit.Built({"a": b"1" * 1000})
    stores = [LayerStore(str(tmp_path)) for _ in range(4)]
    threads = [threading.Thread(target=unpack, args=(s, image)) for s in stores]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(s.has(image.chain) for s in stores)
    assert os.listdir(tmp_path / "staging") == [] == os.listdir(tmp_path / "trash")


def test_commit_wants_the_parent_and_the_right_diff_id(tmp_path):
    import io

    image, layers = kit.Built({"a": b"1"}, {"b": b"2"}), LayerStore(str(tmp_path))
    with pytest.raises(FailedPrecondition):
        unpack(layers, image, 1)
    with layers.new(image.chain, image.chains[0], image.diff_ids[1]) as new:
        result = apply_layer(io.BytesIO(image.blobs[0]), new.path)
        with pytest.raises(DataLoss):
            new.commit(result)
    unpack(layers, image)
    unpack(layers, image, 1)
    assert layers.list() == sorted(image.chains)
    layers.remove(image.chain)
    layers.remove(image.chain)
    assert layers.list() == [image.chains[0]]
    assert len(os.listdir(tmp_path / "l")) == 1


def test_layers_of_another_boot_count_only_when_they_were_synced(tmp_path, monkeypatch):
    image, other = kit.Built({"a": b"1"}), kit.Built({"b": b"1"})
    layers = LayerStore(str(tmp_path))
    unpack(layers, image)
    layers.sync()
    unpack(layers, other)
    monkeypatch.setattr("cricket.images.layer_store.boot_id", lambda: "the next boot")
    again = LayerStore(str(tmp_path))
    assert again.has(image.chain)
    assert not again.has(other.chain)
    unpack(again, other)
    assert again.has(other.chain)
    assert os.listdir(tmp_path / "trash") == []


def test_unsafe_roots_are_refused(tmp_path):
    with pytest.raises(FailedPrecondition):
        Snapshots(str(tmp_path / "a:b"))


def test_damaged_records_count_as_missing(store):
    image = kit.Built({"a": b"1"})
    image.put(store)
    store.snapshots.prepare("k", image.chain)
    with open(os.path.join(store.snapshots.active, "k", "snapshot.json"), "w") as f:
        f.write("{")
    assert store.snapshots.list_active() == []
    assert store.snapshots.prepare("k", image.chain).upper
    with open(os.path.join(store.snapshots.layers.path(image.chain), "layer.json"), "w") as f:
        f.write("")
    assert not LayerStore(store.root).has(image.chain)


def test_removal_copes_with_any_depth_and_name(store):
    image = kit.Built({"a": b"1"})
    image.put(store)
    upper = store.snapshots.prepare("k", image.chain).upper
    subprocess.run(
        ["sh", "-c", "i=0; while [ $i -lt 1500 ]; do mkdir d && cd -P d || exit; i=$((i+1)); done; touch x"],
        cwd=upper, check=True,
    )  # fmt: skip
    os.symlink("/etc", os.path.join(upper, "link"))
    os.mkdir(os.fsencode(upper) + b"/\xff\n")
    assert store.snapshots.usage("k").inodes == 1504
    store.snapshots.remove("k", purge=False)
    assert store.snapshots.list_active() == []
    store.snapshots.empty_trash()
    assert os.listdir(store.snapshots.layers.trash) == []
    assert os.path.exists("/etc/passwd")
