"""One pull, from reference to unpacked layers. Blocking; runs in the worker.

Layers are downloaded several at a time; the lowest one that is missing is unpacked while it still arrives. What is
unpacked already is not downloaded. A pull that was killed at any moment goes on from there the next time.
"""

from __future__ import annotations

import fcntl
import functools
import os
import threading
from collections import deque
from collections.abc import Callable

from cricket.errors import Aborted, Cancelled, CricketError, DataLoss, ResourceExhausted
from cricket.images.chain import chain_ids
from cricket.images.config import make_image
from cricket.images.content import ContentStore
from cricket.images.layer_store import LayerStore
from cricket.images.layers import apply_layer
from cricket.images.leases import Lease
from cricket.images.reference import Reference, parse_digest
from cricket.images.remote.client import Fetched
from cricket.images.remote.connection import Pool
from cricket.images.remote.credentials import Keyring
from cricket.images.remote.download import Download
from cricket.images.remote.growing import GrowingReader
from cricket.images.remote.manifest import Descriptor, Index, Manifest, choose, parse_manifest
from cricket.images.remote.messages import PullProgress, PullRequest, PullResult
from cricket.images.remote.platform import Platform, host_platform
from cricket.images.remote.registries_conf import load_registries
from cricket.images.remote.reporter import Reporter
from cricket.images.remote.resolve import resolve
from cricket.images.remote.retry import RetryPolicy, pause
from cricket.images.remote.sources import Sources

_NESTING_MAX = 3
_OTHER_PROCESS = 0.05
_STALL_NEVER = 10.0**6


class Pull:
    """Pulls what a request asks for. `send` gets progress, from any thread but one at a time.

    Everything is put under the lease before it is looked for, so that no collection takes it away meanwhile.
    """

    def __init__(self, request: PullRequest, lease: Lease, send: Callable[[PullProgress], None]) -> None:
        self._request, self._lease, self._limits = request, lease, request.limits
        self._content, self._store = ContentStore(request.root), LayerStore(request.root)
        self._report = Reporter(send)
        self._stop = threading.Event()
        self._pool = Pool(self._limits.stall or _STALL_NEVER)
        self._policy = RetryPolicy(self._limits.attempts, self._limits.backoff, patience=self._limits.patience)
        self._platform = Platform.parse(request.platform) if request.platform else host_platform()
        self._registries = load_registries(request.registries.registries_conf)

    def run(self) -> PullResult:
        """Pull the first of the references that can be. Raises the last one's error; what was received is kept."""
        *others, last = self._request.references
        try:
            for text in others:
                try:
                    return self._pull(Reference.parse(text))
                except CricketError as e:
                    self._report.stage("resolving", text, f"{text}: {e}")
            return self._pull(Reference.parse(last))
        finally:
            self._stop.set()
            self._report.close()
            self._pool.close()

    def _pull(self, reference: Reference) -> PullResult:
        self._report.stage("resolving", str(reference))
        sources = self._sources(reference)
        top = sources.manifest_of_target(self._request.known.get(str(reference), ()))
        if isinstance(top, str):
            return PullResult(str(reference), top, endpoint=sources.first.url)
        where = f"{reference}, from {sources.first.host}"
        fetched, manifest = self._image_manifest(top, sources, where)
        config = self._config(manifest.config, sources)
        image = make_image(manifest, fetched.body, config)
        chains = chain_ids(image.diff_ids)
        self._layers(manifest, image.diff_ids, chains, sources)
        return PullResult(str(reference), top.digest, image, tuple(chains), self._report.downloaded, sources.first.url)

    def _sources(self, reference: Reference) -> Sources:
        request = self._request
        resolution = resolve(reference, request.registries, self._registries)
        keyring = Keyring(request.auth, request.auth_files, self._registries.credential_helpers or ())
        return Sources(
            reference,
            resolution.endpoints,
            keyring,
            self._pool,
            self._policy,
            self._stop,
            self._limits.manifest_size,
        )

    def _image_manifest(self, top: Fetched, sources: Sources, where: str) -> tuple[Fetched, Manifest]:
        """Go down from what the reference stands for to the manifest for this platform; all of it is stored."""
        fetched = top
        for _ in range(_NESTING_MAX):
            document = parse_manifest(fetched.body, fetched.content_type, where)
            self._lease.add([fetched.digest])
            self._put(fetched)
            if isinstance(document, Manifest):
                return fetched, document
            fetched = self._child(document, sources, where)
        raise DataLoss(f"indexes are nested more than {_NESTING_MAX - 1} deep", where=where)

    def _put(self, fetched: Fetched) -> None:
        while True:
            try:
                self._content.put(fetched.body, fetched.digest)
                return
            except Aborted:  # another pull puts the same in this moment
                pause(self._stop, _OTHER_PROCESS)

    def _child(self, index: Index, sources: Sources, where: str) -> Fetched:
        item = choose(index, self._platform, where)
        if item.size > self._limits.manifest_size:
            raise ResourceExhausted(f"the manifest is larger than {self._limits.manifest_size} bytes", where=where)
        self._lease.add([item.digest])
        if self._content.has(item.digest):
            fetched = Fetched(item.digest, item.media_type, self._content.read(item.digest))
        else:
            fetched = sources.manifest(item.digest)
        if len(fetched.body) != item.size:
            raise DataLoss(f"the manifest has {len(fetched.body)} bytes, the index says {item.size}", where=where)
        if item.media_type and fetched.content_type.partition(";")[0].strip() != item.media_type:
            # The descriptor is covered by the index's digest, the header by nothing: both must hold.
            parse_manifest(fetched.body, item.media_type, where)
        return fetched

    def _config(self, item: Descriptor, sources: Sources) -> bytes:
        limit = self._limits.config_size
        if item.size > limit:
            raise ResourceExhausted(f"the image config is larger than {limit} bytes", where=item.digest)
        self._lease.add([item.digest])
        if not self._content.has(item.digest):
            download = Download(self._content, item, sources.blobs(item), self._policy, self._stop, _ignore)
            download.run()
            download.blob.wait_done()
        return self._content.read(item.digest, limit)

    def _layers(self, manifest: Manifest, diff_ids: tuple[str, ...], chains: list[str], sources: Sources) -> None:
        self._lease.add([*chains, *(layer.digest for layer in manifest.layers)])
        missing = [n for n, chain in enumerate(chains) if not self._store.has(chain)]
        wanted = {manifest.layers[n].digest: manifest.layers[n] for n in missing}
        self._report.layers(manifest.layers, [d.digest for d in manifest.layers if d.digest not in wanted])
        self._report.stage("fetching")
        downloads = {
            digest: Download(
                self._content,
                item,
                sources.blobs(item),
                self._policy,
                self._stop,
                functools.partial(self._report.received, digest),
            )
            for digest, item in wanted.items()
        }
        self._start(list(downloads.values()))
        for n in missing:
            download = downloads[manifest.layers[n].digest]
            self._report.state(download.item.digest, "unpacking")
            while being_unpacked(self._store, chains[n]):
                pause(self._stop, _OTHER_PROCESS)
            if not self._store.has(chains[n]):
                self._unpack(download, chains[n], chains[n - 1] if n else "", diff_ids[n])
            self._report.state(download.item.digest, "done")
        for download in downloads.values():
            download.blob.wait_done()
        self._report.stage("fetched")

    def _start(self, downloads: list[Download]) -> None:
        """Begin downloading, lowest first. The threads end with the process when the pull fails."""
        todo = deque(downloads)

        def work() -> None:
            while not self._stop.is_set():
                try:
                    download = todo.popleft()
                except IndexError:
                    return
                download.run()

        for _ in range(min(len(downloads), self._limits.concurrent_downloads)):
            threading.Thread(target=work, daemon=True).start()

    def _unpack(self, download: Download, chain: str, parent: str, diff_id: str) -> None:
        """Unpack a layer as it arrives; it is published when download and diff id are verified."""
        reader = download.blob.open()
        try:
            self._apply(download, reader, chain, parent, diff_id)
            return
        except (DataLoss, Aborted, Cancelled):
            # What was read may have been wrong, and come right later: the verified blob decides.
            download.blob.wait_done()
            if not reader.stale:
                raise
        finally:
            reader.close()
        self._unpack(download, chain, parent, diff_id)

    def _apply(self, download: Download, reader: GrowingReader, chain: str, parent: str, diff_id: str) -> None:
        with self._store.new(chain, parent, diff_id) as layer:
            result = apply_layer(reader, layer.path)
            download.blob.wait_done()
            if reader.stale:
                raise Aborted("the download began anew")
            layer.commit(result)


def being_unpacked(store: LayerStore, chain: str) -> bool:
    """Whether another process unpacks this layer now (it has a staging directory locked): waiting is cheaper."""
    prefix = parse_digest(chain)[1] + "."
    for name in os.listdir(store.staging):
        if not name.startswith(prefix):
            continue
        try:
            fd = os.open(os.path.join(store.staging, name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def _ignore(received: int, new: int) -> None:
    """Progress of small things is not told."""
