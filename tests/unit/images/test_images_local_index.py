"""The index: names move, ids stay, and a restart sees the same."""

import sqlite3

import pytest

from cricket.errors import DataLoss, FailedPrecondition
from cricket.images.index import ImageIndex
from cricket.types.image import Image

A, B = "sha256:" + "a" * 64, "sha256:" + "ab" + "b" * 62
TAG = "docker.io/library/busybox:latest"
BY_DIGEST = f"docker.io/library/busybox@sha256:{'c' * 64}"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "images.db")


@pytest.fixture
def index(path):
    index = ImageIndex(path)
    yield index
    index.close()


@pytest.mark.parametrize(
    "name", [A, A[7:], "aaa", A[:20], TAG, "busybox", "docker.io/busybox", BY_DIGEST, f"busybox:1@sha256:{'c' * 64}"]
)
def test_find(index, name):
    image = Image(id=A, tags=(TAG,), digests=(BY_DIGEST,))
    index.put(image)
    index.put(Image(id=B))
    assert index.find(name) == image


@pytest.mark.parametrize("name", ["a", "ab", "", "alpine", "sha256:", "f" * 64, "not a reference", f"x@{A}"])
def test_find_nothing(index, name):
    index.put(Image(id=A, tags=(TAG,)))
    index.put(Image(id=B))
    assert index.find(name) is None


def test_an_ambiguous_prefix_finds_nothing(index):
    index.put(Image(id="sha256:" + "abc" + "0" * 61))
    index.put(Image(id="sha256:" + "abc" + "1" * 61))
    assert index.find("abc") is None
    assert index.find("abc0") is not None


def test_a_tag_wins_over_a_prefix(index):
    index.put(Image(id=A, tags=("docker.io/library/abb:latest",)))
    index.put(Image(id=B))
    assert index.find("abb").id == A


def test_a_tag_moves_and_the_old_image_stays(index):
    index.put(Image(id=A, tags=(TAG,), digests=(BY_DIGEST,)))
    index.put(Image(id=B, tags=(TAG,)))
    assert index.find(TAG).id == B
    assert index.find(A).tags == ()
    assert index.find(BY_DIGEST).id == A


def test_another_tag_adds(index):
    index.put(Image(id=A, tags=(TAG,)))
    index.put(Image(id=A, tags=("docker.io/library/busybox:1",)))
    assert set(index.find(A).tags) == {TAG, "docker.io/library/busybox:1"}


def test_a_restart_sees_the_same(index, path):
    image = Image(id=A, tags=(TAG,), size=7, diff_ids=("sha256:1",))
    index.put(image)
    index.put(Image(id=B))
    index.remove(B)
    again = ImageIndex(path)
    assert again.list() == [image]
    again.close()


def test_remove_is_idempotent_and_takes_all_names(index):
    index.put(Image(id=A, tags=(TAG, "x.io/y:1")))
    index.remove(A)
    index.remove(A)
    assert index.find(TAG) is None
    assert index.list() == []


def test_untag(index):
    index.put(Image(id=A, tags=(TAG, "x.io/y:1")))
    index.untag(TAG)
    index.untag(TAG)
    assert index.find(A).tags == ("x.io/y:1",)


def test_reload_sees_another_process(index, path):
    other = ImageIndex(path)
    other.put(Image(id=A))
    other.close()
    assert index.list() == []
    index.reload()
    assert len(index.list()) == 1


def test_a_newer_schema_is_refused(index, path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(FailedPrecondition):
        ImageIndex(path)


def test_damage_is_told(tmp_path):
    path = tmp_path / "bad.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DataLoss):
        ImageIndex(str(path))
