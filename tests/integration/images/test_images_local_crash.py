"""Writers killed with SIGKILL: what is shown is whole, and the next try goes on."""

import asyncio
import os
import random
import subprocess
import sys

import images_local_kit as kit
import pytest

from cricket.images.check import check
from cricket.images.content import ContentStore, digest_of
from cricket.images.store import ImageStore

pytestmark = pytest.mark.root

WRITE = """
import sys
from cricket.images.content import ContentStore
store, digest, data = ContentStore(sys.argv[1]), sys.argv[2], open(sys.argv[3], "rb").read()
with store.writer(digest, len(data)) as w:
    for i in range(w.offset, len(data), 1 << 16):
        w.write(data[i : i + (1 << 16)])
        print(w.offset, flush=True)
        if w.offset >= 1 << 20:
            sys.stdin.read()
    w.commit()
"""

PUT = """
import sys
sys.path.insert(0, sys.argv[2])
import images_local_kit as kit
from cricket.images.store import ImageStore
store = ImageStore(sys.argv[1])
image = kit.Built(*({f"d{n}/f{i}": b"%d" % i * 100 for i in range(60)} for n in range(4)))
print(image.id, flush=True)
with store.lease() as lease:
    lease.add([*image.chains])
    image.put(store, "docker.io/library/x:1")
print("done", flush=True)
"""


def test_a_killed_download_resumes(tmp_path):
    data = random.Random(1).randbytes(4 << 20)
    (tmp_path / "data").write_bytes(data)
    argv = [sys.executable, "-c", WRITE, str(tmp_path / "s"), digest_of(data), str(tmp_path / "data")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        while int(child.stdout.readline()) < 1 << 20:
            pass
        child.kill()
    store = ContentStore(str(tmp_path / "s"))
    assert not store.has(digest_of(data))
    with store.writer(digest_of(data), len(data)) as w:
        assert w.offset >= 1 << 20
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    assert int(done.stdout.split()[0]) > 1 << 20
    assert store.verify(digest_of(data))


@pytest.mark.parametrize("delay_ms", [0, 3, 6, 10, 15, 22, 30, 45, 60])
def test_a_killed_unpack_leaves_a_sound_store(tmp_path, delay_ms):
    root, here = str(tmp_path / "images"), os.path.dirname(__file__)
    argv = [sys.executable, "-c", PUT, root, here]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        image_id = child.stdout.readline().strip()
        try:
            child.wait(delay_ms / 1000)  # the moment of death is what varies here
        except subprocess.TimeoutExpired:
            child.kill()
    assert {f.kind for f in check(root)} <= {"orphan"}
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    store = ImageStore(root)
    assert store.find("x:1").id == image_id
    asyncio.run(store.remove("x:1"))
    staging = store.snapshots.layers.staging
    for name in os.listdir(staging):
        os.utime(os.path.join(staging, name), (0, 0))
    asyncio.run(store.collect())
    for directory in ("blobs/sha256", "layers", "l", "staging", "trash", "leases"):
        assert os.listdir(os.path.join(root, directory)) == []
    store.close()


def test_the_kit_is_deterministic():
    assert kit.Built({"a": b"1"}).id == kit.Built({"a": b"1"}).id
