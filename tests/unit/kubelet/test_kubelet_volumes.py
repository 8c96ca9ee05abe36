"""Files of volumes, as far as they need no mounts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from kubelet_pods import NODE, pod, pods
from msgspec.structs import replace

from cricket._proto.cri import api_pb2 as pb
from cricket.kubelet import userns
from cricket.kubelet.failure import CreateContainerConfigError, FailedCreatePodSandBox, FailedMount
from cricket.kubelet.model.volume import HostPath
from cricket.kubelet.volumes import atomic_writer, host_path, sub_path
from cricket.kubelet.volumes.materialize import memory_size
from cricket.kubelet.volumes.payload import payload

_, OBJECTS = pods("""
    {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: "1", b: "2"}, binaryData: {raw: AAEC}}
    ---
    {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {k: v}}
""")


def files(source: str) -> dict[str, tuple[bytes, int]] | None:
    made = pod(spec=f"volumes: [{{name: v, {source}}}]", metadata="labels: {x: y}")
    return payload(made.spec.volumes[0], made, OBJECTS, NODE)


def test_payloads() -> None:
    assert files("configMap: {name: c}") == {"a": (b"1", 0o644), "b": (b"2", 0o644), "raw": (b"\0\1\2", 0o644)}
    assert files(
        "configMap: {name: c, defaultMode: 0400, items: [{key: a, path: x/y}, {key: b, path: z, mode: 0600}]}"
    ) == {
        "x/y": (b"1", 0o400),
        "z": (b"2", 0o600),
    }
    assert files("secret: {secretName: s}") == {"k": (b"v", 0o644)}
    assert files("secret: {secretName: gone, optional: true}") == {}
    assert files("emptyDir: {}") is None
    fields = "{path: l, fieldRef: {fieldPath: metadata.labels}}"
    assert files(f"downwardAPI: {{items: [{fields}]}}") == {"l": (b'x="y"', 0o644)}
    assert files(
        f"projected: {{defaultMode: 0440, sources: [{{secret: {{name: s}}}}, {{downwardAPI: {{items: [{fields}]}}}}]}}"
    ) == {"k": (b"v", 0o440), "l": (b'x="y"', 0o440)}


@pytest.mark.parametrize(
    ("source", "words"),
    [("configMap: {name: gone}", 'configmap "gone" not found'),
     ("secret: {secretName: gone}", 'secret "gone" not found'),
     ("configMap: {name: c, items: [{key: gone, path: p}]}", "configmap references non-existent config key: gone"),
     ("secret: {secretName: s, items: [{key: gone, path: p}]}", "references non-existent secret key: gone")],
)  # fmt: skip
def test_missing(source: str, words: str) -> None:
    with pytest.raises(FailedMount) as error:
        files(source)
    assert str(error.value) == words


def tree(directory: Path) -> dict[str, bytes]:
    """What a container sees."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.relative_to(directory).parts[0].startswith("..")
    } | {
        f"{entry.name}/{inner.relative_to(entry)}": inner.read_bytes()
        for entry in directory.iterdir()
        if entry.is_symlink() and entry.is_dir() and not entry.name.startswith("..")
        for inner in entry.rglob("*")
        if inner.is_file()
    }


def test_atomic_writer(tmp_path: Path) -> None:
    first = {"a": (b"1", 0o644), "deep/x": (b"2", 0o600), "deep/y": (b"3", 0o640)}
    assert atomic_writer.write(str(tmp_path), first)
    assert tree(tmp_path) == {"a": b"1", "deep/x": b"2", "deep/y": b"3"}
    assert (tmp_path / "deep/y").stat().st_mode & 0o777 == 0o640
    assert os.readlink(tmp_path / "a") == "..data/a"
    generation = os.readlink(tmp_path / "..data")
    assert not atomic_writer.write(str(tmp_path), first)
    assert os.readlink(tmp_path / "..data") == generation
    assert atomic_writer.write(str(tmp_path), {"b": (b"4", 0o644)})
    assert tree(tmp_path) == {"b": b"4"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["..data", "b", os.readlink(tmp_path / "..data")])
    assert atomic_writer.write(str(tmp_path), {})
    assert tree(tmp_path) == {}


def test_atomic_writer_sees_a_changed_mode(tmp_path: Path) -> None:
    atomic_writer.write(str(tmp_path), {"a": (b"1", 0o644)})
    assert atomic_writer.write(str(tmp_path), {"a": (b"1", 0o400)})


def test_atomic_writer_mends_what_a_crash_left(tmp_path: Path) -> None:
    atomic_writer.write(str(tmp_path), {"a": (b"1", 0o644), "b": (b"2", 0o644)})
    (tmp_path / "..2000_01_01_00_00_00.1").mkdir()
    (tmp_path / "..data_tmp").symlink_to("..2000_01_01_00_00_00.1")
    (tmp_path / "b").unlink()
    (tmp_path / "old").symlink_to("..data/old")
    assert not atomic_writer.write(str(tmp_path), {"a": (b"1", 0o644), "b": (b"2", 0o644)})
    assert tree(tmp_path) == {"a": b"1", "b": b"2"}
    assert len(list(tmp_path.iterdir())) == 4
    # The generation itself is gone.
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..nowhere")
    assert atomic_writer.write(str(tmp_path), {"a": (b"1", 0o644)})
    assert tree(tmp_path) == {"a": b"1"}


def read(descriptor: int) -> bytes:
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:
        os.close(descriptor)
        return file.read()


def test_sub_paths(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o755)
    (tmp_path / "secret").write_text("no")
    (volume / "inside").write_text("yes")
    (volume / "link").symlink_to("inside")
    (volume / "out").symlink_to("../secret")
    (volume / "up").symlink_to("..")
    (volume / "root").symlink_to("/")
    (volume / "self").symlink_to(".")
    assert read(sub_path.open_inside(str(volume), "inside")) == b"yes"
    assert read(sub_path.open_inside(str(volume), "link")) == b"yes"
    assert read(sub_path.open_inside(str(volume), "self/self/inside")) == b"yes"
    for escape in ("out", "up/secret", "root/etc/passwd", "up", "root"):
        with pytest.raises(CreateContainerConfigError):
            sub_path.open_inside(str(volume), escape)
    volume.chmod(0o2770)
    os.close(sub_path.open_inside(str(volume), "new/er"))
    assert (volume / "new/er").stat().st_mode & 0o7777 == 0o2770


def test_host_paths(tmp_path: Path) -> None:
    def check(name: str, kind: str) -> None:
        host_path.check(HostPath(path=str(tmp_path / name), type=kind))

    (tmp_path / "file").write_text("")
    check("nothing", "")
    check("made/deep", "DirectoryOrCreate")
    check("made", "Directory")
    check("new", "FileOrCreate")
    check("new", "File")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644
    host_path.check(HostPath(path="/dev/null", type="CharDevice"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        check("socket", "Socket")
    for name, kind, words in (
        ("file", "Directory", "is not a directory"),
        ("made", "File", "is not a file"),
        ("nothing", "File", "is not a file"),
        ("file", "Socket", "is not a socket file"),
        ("file", "BlockDevice", "is not a block device"),
        ("no/where", "FileOrCreate", "cannot be made"),
    ):
        with pytest.raises(FailedMount) as error:
            check(name, kind)
        assert str(error.value).startswith(f"hostPath type check failed: {tmp_path}/{name} {words}")


def test_memory_sizes() -> None:
    limited = pod(container="resources: {limits: {memory: 64Mi}}")
    assert memory_size(None, pod(), NODE) == NODE.memory_bytes
    assert memory_size(None, limited, NODE) == 64 << 20
    made = pod(spec="volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]")
    assert made.spec.volumes[0].empty_dir is not None
    assert memory_size(made.spec.volumes[0].empty_dir.size_limit, limited, NODE) == 1 << 20


def test_user_namespaces(tmp_path: Path) -> None:
    node = replace(NODE, root=str(tmp_path), userns_handlers=frozenset([""]))
    one, two = (pod(spec="hostUsers: false", metadata=f"uid: {uid}") for uid in ("u1", "u2"))
    first = userns.pod_userns(one, node)
    assert (first.mode, first.uids[0].host_id, first.uids[0].length) == (pb.POD, 65536, 65536)
    assert userns.pod_userns(two, node).gids[0].host_id == 2 * 65536
    assert userns.pod_userns(one, node) == first
    (tmp_path / "pods/u1/userns").unlink()
    three = pod(spec="hostUsers: false", metadata="uid: u3")
    assert userns.pod_userns(three, node).uids[0].host_id == 65536
    assert userns.pod_userns(pod(), node) is None
    assert userns.pod_userns(pod(spec="hostUsers: true"), node).mode == pb.NODE
    with pytest.raises(FailedCreatePodSandBox, match="does not support user namespaces"):
        userns.pod_userns(pod(spec="hostUsers: false\nruntimeClassName: vm"), node)
