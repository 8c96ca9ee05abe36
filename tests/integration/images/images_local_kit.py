"""Small images made here, put into a store or written as archives."""

import functools
import gzip
import hashlib
import io
import json
import tarfile

from cricket.images.chain import chain_id, chain_ids
from cricket.images.config import make_image
from cricket.images.content import digest_of
from cricket.images.load import OCI_CONFIG, OCI_LAYER, oci_manifest
from cricket.images.remote.manifest import Descriptor, Manifest
from cricket.images.unpack import unpack_blobs


def tar(files):
    """`files`: name -> bytes, or None for a directory, or a function that changes the TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif callable(data):
                data(info)
                data = None
            else:
                info.size, info.mode = len(data), 0o644
            t.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


pack = functools.partial(gzip.compress, mtime=0)


class Built:
    """An image's documents and blobs in memory."""

    def __init__(self, *layers, compress=pack, config=None):
        tars = [tar(layer) for layer in layers]
        self.diff_ids = ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]
        self.blobs = [compress(t) for t in tars]
        document = {"architecture": "amd64", "os": "linux", "config": config or {"Cmd": ["/bin/sh"]},
                    "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}  # fmt: skip
        self.config = json.dumps(document).encode()
        kind = OCI_LAYER + ("+gzip" if self.blobs and self.blobs[0][:2] == b"\x1f\x8b" else "")
        items = [Descriptor(digest_of(b), len(b), kind) for b in self.blobs]
        self.parsed = Manifest(Descriptor(digest_of(self.config), len(self.config), OCI_CONFIG), items)
        self.manifest = oci_manifest(self.parsed.config, items)
        self.id, self.digest = digest_of(self.config), digest_of(self.manifest)
        self.chain, self.chains = chain_id(self.diff_ids), chain_ids(self.diff_ids)

    def record(self, *tags):
        digests = [f"{t.rpartition(':')[0]}@{self.digest}" for t in tags]
        return make_image(self.parsed, self.manifest, self.config, tags=tags, digests=digests)

    def store_blobs(self, content):
        for blob in (*self.blobs, self.config, self.manifest):
            content.put(blob)

    def put(self, store, *tags):
        """As a pull does it, without a lease."""
        self.store_blobs(store.content)
        unpack_blobs(store.content, store.snapshots, [i.digest for i in self.parsed.layers], self.diff_ids)
        return store.index.put(self.record(*tags))
