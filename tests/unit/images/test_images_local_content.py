"""The content store: digests decide, partial downloads resume, one writer at a time."""

import os

import pytest

from cricket.errors import Aborted, AlreadyExists, DataLoss, InvalidArgument, NotFound, ResourceExhausted
from cricket.images.content import ContentStore, digest_of

DATA = os.urandom(300_000)
DIGEST = digest_of(DATA)


@pytest.fixture
def store(tmp_path):
    return ContentStore(str(tmp_path))


def test_a_committed_blob_is_there(store):
    with store.writer(DIGEST, len(DATA)) as w:
        w.write(DATA)
        assert not store.has(DIGEST)
        w.commit()
    assert store.has(DIGEST)
    assert store.size(DIGEST) == len(DATA)
    assert store.read(DIGEST) == DATA
    assert store.list() == [DIGEST]
    assert os.listdir(store.ingest) == []
    with store.open_reader(DIGEST) as f:
        assert f.read(10) == DATA[:10]


def test_an_interrupted_write_resumes(store):
    with store.writer(DIGEST, len(DATA)) as w:
        w.write(DATA[:1000])
    with store.writer(DIGEST, len(DATA)) as w:
        assert w.offset == 1000
        w.write(DATA[1000:])
        w.commit()
    assert store.read(DIGEST) == DATA


def test_restart_forgets_the_partial(store):
    with store.writer(DIGEST, len(DATA)) as w:
        w.write(b"something else")
    with store.writer(DIGEST, len(DATA)) as w:
        w.restart()
        assert w.offset == 0
        w.write(DATA)
        w.commit()
    assert store.read(DIGEST) == DATA


def test_a_wrong_digest_is_refused_and_dropped(store):
    with store.writer(DIGEST, 3) as w:
        w.write(b"abc")
        with pytest.raises(DataLoss):
            w.commit()
    assert not store.has(DIGEST)
    assert os.listdir(store.ingest) == []


def test_a_short_blob_is_refused_but_kept_for_resuming(store):
    with store.writer(DIGEST, len(DATA)) as w:
        w.write(DATA[:-1])
        with pytest.raises(DataLoss):
            w.commit()
    with store.writer(DIGEST, len(DATA)) as w:
        assert w.offset == len(DATA) - 1


def test_more_than_announced_is_refused(store):
    with store.writer(DIGEST, 10) as w, pytest.raises(DataLoss):
        w.write(DATA)
    assert os.listdir(store.ingest) == []


def test_a_partial_longer_than_the_blob_starts_over(store):
    with store.writer(DIGEST, -1) as w:
        w.write(DATA + b"more")
    with store.writer(DIGEST, len(DATA)) as w:
        assert w.offset == 0


def test_an_unknown_size_is_settled_by_the_digest(store):
    with store.writer(DIGEST) as w:
        w.write(DATA)
        w.commit()
    assert store.size(DIGEST) == len(DATA)


def test_one_writer_at_a_time(store):
    with store.writer(DIGEST, len(DATA)) as w:
        with pytest.raises(Aborted):
            store.writer(DIGEST, len(DATA))
        w.write(DATA)
        w.commit()
    with pytest.raises(AlreadyExists):
        store.writer(DIGEST, len(DATA))


def test_put_is_idempotent(store):
    assert store.put(b"abc") == store.put(b"abc") == digest_of(b"abc")
    with pytest.raises(DataLoss):
        store.put(b"abd", digest_of(b"something else"))


def test_put_does_not_trust_a_partial(store):
    with store.writer(digest_of(b"abc"), 3) as w:
        w.write(b"x")
    store.put(b"abc")
    assert store.read(digest_of(b"abc")) == b"abc"


def test_damage_is_found_on_reading(store):
    store.put(b"abc")
    with open(store.path(digest_of(b"abc")), "wb") as f:
        f.write(b"abd")
    with pytest.raises(DataLoss):
        store.read(digest_of(b"abc"))
    assert not store.verify(digest_of(b"abc"))


def test_limits_and_missing_things(store):
    store.put(DATA)
    with pytest.raises(ResourceExhausted):
        store.read(DIGEST, limit=1000)
    store.delete(DIGEST)
    store.delete(DIGEST)
    for call in (store.read, store.size, store.open_reader, store.verify):
        with pytest.raises(NotFound):
            call(DIGEST)


@pytest.mark.parametrize("bad", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_only_digests_name_blobs(store, bad):
    with pytest.raises(InvalidArgument):
        store.path(bad)


def test_sha512(store):
    import hashlib

    digest = "sha512:" + hashlib.sha512(b"abc").hexdigest()
    store.put(b"abc", digest)
    assert store.read(digest) == b"abc"
    assert store.list() == [digest]
