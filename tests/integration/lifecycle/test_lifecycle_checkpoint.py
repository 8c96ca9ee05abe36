"""CheckpointContainer and restore through CRI, with real runc, conmon and CRIU.

Whether CRIU can work on this kernel is asked of it; where it cannot, the same requests must fail honestly: with CRIU's
words, and with nothing changed or left.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.cri import CriError
from harness.images import Image, digest
from harness.node import POD, Node, until
from harness.registry import Registry

pytestmark = pytest.mark.root

COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
CHANGE = "rm /etc/second-layer; echo kept >/tmp/kept; rm -r /home; mkdir /home; echo new >/home/new"
KEPT = (
    "config.dump",
    "spec.dump",
    "bind.mounts",
    "dump.log",
    "stats-dump",
    "io.kubernetes.cri-o.LogPath",
    "deleted.files",
    "rootfs-diff.tar",
    "checkpoint",
)


def criu_problem() -> str:
    """What CRIU's own check says, "" when it can work here."""
    try:
        check = subprocess.run(["criu", "check"], capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return "criu is not installed"
    return "" if check.returncode == 0 else (check.stdout + check.stderr).strip() or "criu check fails"


PROBLEM = criu_problem()
needs_criu = pytest.mark.skipif(bool(PROBLEM), reason=f"CRIU cannot work here: {PROBLEM}")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, registry: Registry, busybox_ref: str) -> Iterator[Node]:
    """A node that restores images, too."""
    directory = tmp_path_factory.mktemp("node")
    with Node.made(directory, registry=registry, security={"checkpoint_images": True}) as made:
        made.pull(busybox_ref)
        yield made
        made.remove_pods()
        made.assert_clean()


def counter(n: Node, image: str, **changes: Any) -> tuple[str, str]:
    """A pod with a container that has changed files and counts; both ids."""
    config = n.pod()
    pod = n.run_pod(config, "runc")
    container = n.run(pod, n.container(image, "sh", "-c", f"{CHANGE}; {COUNT}", **changes), config)
    until(lambda: last(n, container) >= 3, "it does not count")
    return pod, container


def last(n: Node, container: str) -> int:
    """The last number in the log."""
    return numbers(n, container)[-1]


def numbers(n: Node, container: str) -> list[int]:
    """All numbers in the log, after a 0; a terminal's output may come in pieces."""
    return [0, *map(int, re.findall(r"std(?:out|err) [FP] (\d+)", n.log_of(container)))]


def goes_on(n: Node, container: str) -> None:
    """It runs, is not frozen, and counts."""
    assert n.state_of(container) == "CONTAINER_RUNNING"
    number = last(n, container)
    until(lambda: last(n, container) > number, "it does not count any more")


def checkpoint(n: Node, container: str, location: Path | str, timeout: int = 0) -> None:
    n.cri.call("CheckpointContainer", container_id=container, location=str(location), timeout=timeout)


def read(location: Path) -> dict[str, bytes]:
    """All files of an archive."""
    with tarfile.open(location) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m)) is not None}


def write(location: Path, files: dict[str, bytes]) -> Path:
    """An archive of these files."""
    with tarfile.open(location, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return location


def invented(n: Node, image: str, *mounts: str, ref: str = "") -> dict[str, bytes]:
    """An archive as it should be, but for CRIU's images, which CRIU cannot read."""
    status = n.cri.call("ImageStatus", image={"image": image}).image
    config = {"id": "1" * 64, "rootfsImageRef": ref or status.id.removeprefix("sha256:"), "rootfsImageName": image}
    spec = {"mounts": [{"destination": m, "type": "bind", "source": "/etc"} for m in mounts]}
    return {
        "config.dump": json.dumps(config).encode(),
        "spec.dump": json.dumps(spec).encode(),
        "io.kubernetes.cri-o.LogPath": b"2024-01-01T00:00:00.000000000Z stdout F 41\n",
        "checkpoint/descriptors.json": b'["/dev/null","/dev/null","/dev/null"]',
        "checkpoint/inventory.img": b"no image of CRIU",
    }


def left(n: Node) -> list[str]:
    """What checkpoints have left in the daemon's directory."""
    try:
        return [p.name for p in (n.root / "checkpoints").iterdir()]
    except FileNotFoundError:
        return []


def test_checkpoint(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    _, container = counter(pods, busybox_ref)
    location = tmp_path / "c.tar"
    if PROBLEM:
        with pytest.raises(CriError) as error:
            checkpoint(pods, container, location)
        assert error.value.code == "UNIMPLEMENTED"
        assert "CRIU" in error.value.text and "does not work on Linux" in error.value.text
    else:
        checkpoint(pods, container, location, timeout=60)
        assert location.stat().st_mode & 0o7777 == 0o600
        files = read(location)
        assert {name.partition("/")[0] for name in files} == set(KEPT)
        assert json.loads(files["deleted.files"]) == ["/etc/second-layer"]
        dump = json.loads(files["config.dump"])
        assert dump["id"] == container and dump["name"] == "c" and dump["runtime"] == "runc"
        assert f"sha256:{dump['rootfsImageRef']}" == pods.status(container).image_id
        with tarfile.open(fileobj=io.BytesIO(files["rootfs-diff.tar"])) as diff:
            assert {"tmp/kept", "home/new"} <= set(diff.getnames())
            assert "etc/hosts" not in diff.getnames()
    goes_on(pods, container)
    assert left(pods) == []
    assert {p.name for p in tmp_path.iterdir()} <= {"c.tar"}


@needs_criu
def test_restore_in_another_pod(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("of the new volume\n")
    volume = {"container_path": "/volume", "host_path": str(tmp_path / "old")}
    _, container = counter(pods, busybox_ref, mounts=[volume])
    checkpoint(pods, container, tmp_path / "c.tar")
    pods.cri.call("StopContainer", container_id=container, timeout=0)

    config = pods.pod(hostname="new-name")
    pod = pods.run_pod(config, "runc")
    volume["host_path"] = str(tmp_path / "new")
    request = pods.container(str(tmp_path / "c.tar"), mounts=[volume], labels={"my": "label"})
    restored = pods.create(pod, request, config)
    assert pods.state_of(restored) == "CONTAINER_CREATED"
    pods.start(restored)
    goes_on(pods, restored)
    seen = numbers(pods, restored)
    assert seen == list(range(len(seen))), "the log must go on without a gap"
    status = pods.status(restored)
    assert status.image_id == pods.status(container).image_id and status.labels["my"] == "label"
    told = pods.exec(restored, "sh", "-c", "cat /tmp/kept /home/new /volume/file; ls /etc/second-layer; hostname")
    assert told.stdout.decode().splitlines() == ["kept", "new", "of the new volume", "new-name"]
    info = json.loads(pods.cri.call("ContainerStatus", container_id=restored, verbose=True).info["info"])
    assert restored in Path(f"/proc/{info['pid']}/cgroup").read_text()
    assert left(pods) == []
    pods.restart(kill=True)
    goes_on(pods, restored)
    pods.cri.call("StopContainer", container_id=restored, timeout=0)
    assert pods.status(restored).exit_code == 137


@needs_criu
@pytest.mark.parametrize("how", ["terminal", "pod's processes", "confined", "host's network"])
def test_restore_of_other_kinds(pods: Node, busybox_ref: str, tmp_path: Path, how: str) -> None:
    confined = {"seccomp": {"profile_type": 0}, "no_new_privs": True, "readonly_rootfs": True}
    security: dict[str, dict[str, Any]] = {
        "pod's processes": {"namespace_options": {"pid": POD}},
        "confined": {"namespace_options": {"pid": 1}, "capabilities": {"drop_capabilities": ["ALL"]}, **confined},
        "host's network": {"namespace_options": {"pid": 1, "network": 2}},
    }
    changes: dict[str, Any] = {"tty": True, "stdin": True} if how == "terminal" else {}
    if how in security:
        changes["linux"] = {"security_context": security[how]}
    network = {"security_context": {"namespace_options": {"network": 2}}} if how == "host's network" else {}
    config = pods.pod(linux=network)
    pod = pods.run_pod(config, "runc")
    container = pods.run(pod, pods.container(busybox_ref, "sh", "-c", COUNT, **changes), config)
    until(lambda: last(pods, container) >= 3, "it does not count")
    checkpoint(pods, container, tmp_path / "c.tar")
    goes_on(pods, container)
    pods.cri.call("StopContainer", container_id=container, timeout=0)
    config = pods.pod(linux=network)
    restored = pods.run(pods.run_pod(config, "runc"), pods.container(str(tmp_path / "c.tar"), **changes), config)
    goes_on(pods, restored)
    if how == "confined":
        lines = pods.exec(restored, "cat", "/proc/1/status").stdout.decode().splitlines()
        assert "Seccomp:\t2" in lines and f"CapBnd:\t{0:016x}" in lines


@needs_criu
def test_connections_survive_a_checkpoint(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    config = pods.pod()
    pod = pods.run_pod(config, "runc")
    serve = "(sleep 100000 | nc -l -p 999 &); while ! netstat -tln | grep -q :999; do sleep 0.02; done"
    talk = f"{serve}; ({COUNT}) | nc 127.0.0.1 999"
    container = pods.run(pod, pods.container(busybox_ref, "sh", "-c", talk), config)
    until(lambda: last(pods, container) >= 3, "nothing arrives")
    checkpoint(pods, container, tmp_path / "c.tar")
    goes_on(pods, container)


@pytest.mark.parametrize("kind", ["file", "labelled image", "annotated image"])
def test_restore_from(pods: Node, registry: Registry, busybox_ref: str, tmp_path: Path, kind: str) -> None:
    files = invented(pods, busybox_ref, "/etc/hosts")
    if not PROBLEM:
        _, container = counter(pods, busybox_ref)
        checkpoint(pods, container, tmp_path / "real.tar")
        files = read(tmp_path / "real.tar")
    name = str(write(tmp_path / "c.tar", files))
    if kind != "file":
        name = registry.push(f"test/{kind.split()[0]}-checkpoint", checkpoint_image(files, kind))
        pods.pull(name)
    config = pods.pod()
    pod = pods.run_pod(config, "runc")
    restored = pods.create(pod, pods.container(name), config)
    assert pods.status(restored).image_id == pods.cri.call("ImageStatus", image={"image": busybox_ref}).image.id
    if PROBLEM:
        with pytest.raises(CriError) as error:
            pods.start(restored)
        assert "CRIU" in error.value.text and "does not work on Linux" in error.value.text
    else:
        pods.start(restored)
        goes_on(pods, restored)
    if kind != "file":
        pods.cri.call("RemoveImage", image={"image": name})


def test_images_need_leave(pods: Node, registry: Registry, busybox_ref: str) -> None:
    name = registry.push(
        "test/refused-checkpoint", checkpoint_image(invented(pods, busybox_ref, "/etc/hosts"), "labelled image")
    )
    pods.pull(name)
    config = pods.pod()
    pod = pods.run_pod(config, "runc")
    pods.daemon.write_config(security={"checkpoint_images": False})
    pods.restart()
    try:
        with pytest.raises(CriError, match="security.checkpoint_images"):
            pods.create(pod, pods.container(name), config)
    finally:
        pods.daemon.write_config(security={"checkpoint_images": True})
        pods.restart()
    pods.cri.call("RemoveImage", image={"image": name})


def checkpoint_image(files: dict[str, bytes], kind: str) -> Image:
    """An image with an archive as its one layer, marked in one of the two ways."""
    mark = "org.criu.checkpoint.container.name"
    if kind == "labelled image":
        return Image(files, Labels={mark: "c"})
    image = Image(files)
    annotations = {"io.kubernetes.cri-o.annotations.checkpoint.name": "c"}
    image.manifest = json.dumps({**json.loads(image.manifest), "annotations": annotations}).encode()
    image.digest = digest(image.manifest)
    return image


def test_an_unmarked_image_is_an_image(pods: Node, registry: Registry, busybox_ref: str) -> None:
    name = registry.push("test/no-checkpoint", Image(invented(pods, busybox_ref), Cmd=["/bin/nothing"]))
    pods.pull(name)
    config = pods.pod()
    container = pods.create(pods.run_pod(config, "runc"), pods.container(name, "/bin/nothing"), config)
    assert pods.status(container).image_id == pods.cri.call("ImageStatus", image={"image": name}).image.id


def test_a_failed_restore_is_a_start_error(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    config = pods.pod()
    pod = pods.run_pod(config, "runc")
    location = write(tmp_path / "c.tar", invented(pods, busybox_ref))
    restored = pods.create(pod, pods.container(str(location)), config)
    # The old log is there before anything runs, and stays when nothing will.
    assert last(pods, restored) == 41
    with pytest.raises(CriError) as error:
        pods.start(restored)
    assert "CRIU" in error.value.text
    status = pods.status(restored)
    assert (pods.state_of(restored), status.exit_code, status.reason) == ("CONTAINER_EXITED", 128, "StartError")
    assert "CRIU" in status.message
    assert last(pods, restored) == 41
    pods.cri.call("RemoveContainer", container_id=restored)
    assert left(pods) == []
    assert not (pods.state / "containers" / restored).exists()


def refused(n: Node, location: Path, **changes: Any) -> CriError:
    """The error of creating a container from an archive; nothing may be left of it."""
    config = n.pod()
    pod = n.run_pod(config, "runc")
    with pytest.raises(CriError) as error:
        n.create(pod, n.container(str(location), **changes), config)
    assert left(n) == []
    assert not n.cri.call("ListContainers").containers
    assert not list(Path(config["log_directory"]).iterdir())
    return error.value


def test_the_base_image_must_be_there(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    files = invented(pods, busybox_ref, ref="2" * 64)
    error = refused(pods, write(tmp_path / "c.tar", files))
    assert error.code == "NOT_FOUND" and busybox_ref in error.text and "2" * 64 in error.text and "Pull" in error.text


def test_mounts_must_be_those_of_the_checkpoint(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    location = write(tmp_path / "c.tar", invented(pods, busybox_ref, "/etc/hosts", "/run/.containerenv", "/a", "/b"))
    error = refused(pods, location)
    assert error.code == "INVALID_ARGUMENT" and "/a, /b" in error.text and "/run" not in error.text
    volumes = [{"container_path": place, "host_path": str(tmp_path)} for place in ("/a/", "/b", "/c")]
    error = refused(pods, location, mounts=volumes)
    assert error.code == "INVALID_ARGUMENT" and "had no mounts at /c" in error.text


def test_what_is_no_checkpoint(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    assert refused(pods, tmp_path / "missing.tar").code == "NOT_FOUND"
    (tmp_path / "text").write_text("text " * 1000)
    assert refused(pods, tmp_path / "text").code == "DATA_LOSS"
    files = invented(pods, busybox_ref)
    del files["checkpoint/inventory.img"]
    assert refused(pods, write(tmp_path / "cut.tar", files)).code == "DATA_LOSS"


def test_requests_that_cannot_be_met(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    config = pods.pod()
    pod = pods.run_pod(config, "runc")
    container = pods.create(pod, pods.container(busybox_ref, "sleep", "1000"), config)
    for location, code in ((tmp_path / "c.tar", "FAILED_PRECONDITION"), ("relative.tar", "INVALID_ARGUMENT")):
        with pytest.raises(CriError) as error:
            checkpoint(pods, container, location)
        assert error.value.code == code
    pods.start(container)
    for place, code in ((tmp_path, "INVALID_ARGUMENT"), (tmp_path / "no" / "c.tar", "FAILED_PRECONDITION")):
        with pytest.raises(CriError) as error:
            checkpoint(pods, container, place)
        assert error.value.code == code
    with pytest.raises(CriError) as error:
        checkpoint(pods, "nosuch", tmp_path / "c.tar")
    assert error.value.code == "NOT_FOUND"
    assert list(tmp_path.iterdir()) == []


def test_a_handler_without_criu_says_so(pods: Node, busybox_ref: str, tmp_path: Path) -> None:
    if "+CRIU" in subprocess.run(["crun", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this crun is built with CRIU")
    config = pods.pod()
    try:
        pod = pods.run_pod(config, "crun")
    except CriError as problem:
        pytest.skip(f"crun cannot be used here: {problem.text}")
    container = pods.run(pod, pods.container(busybox_ref, "sleep", "1000"), config)
    location = write(tmp_path / "c.tar", invented(pods, busybox_ref))
    errors = []
    with pytest.raises(CriError) as told:
        checkpoint(pods, container, tmp_path / "new.tar")
    errors.append(told.value)
    with pytest.raises(CriError) as told:
        pods.create(pod, pods.container(str(location), name="restored"), config)
    for error in (*errors, told.value):
        assert error.code == "UNIMPLEMENTED"
        assert "handler crun" in error.text and "runc" in error.text
    assert pods.state_of(container) == "CONTAINER_RUNNING"


@pytest.fixture
def hanging(pods: Node, tmp_path: Path) -> Iterator[Path]:
    """The daemon finds a CRIU that hangs until the file exists that is returned."""
    programs, end = tmp_path / "programs", tmp_path / "end"
    programs.mkdir()
    fake = programs / "criu"
    fake.write_text(f'#!/bin/sh\n[ "$1" = check ] && exit 0\nwhile [ ! -e {end} ]; do sleep 0.02; done\nexit 1\n')
    fake.chmod(0o755)
    pods.daemon.stop()
    path = subprocess.run(["sh", "-c", "echo $PATH"], capture_output=True, text=True, check=True).stdout.strip()
    pods.daemon.start(PATH=f"{programs}:{path}")
    yield end
    end.touch()
    pods.restart()


def test_a_timeout_leaves_the_container_running(pods: Node, busybox_ref: str, tmp_path: Path, hanging: Path) -> None:
    _, container = counter(pods, busybox_ref)
    (tmp_path / "out").mkdir()
    began = time.monotonic()
    with pytest.raises(CriError) as error:
        checkpoint(pods, container, tmp_path / "out" / "c.tar", timeout=1)
    assert error.value.code == "DEADLINE_EXCEEDED"
    assert 0.9 < time.monotonic() - began < 10
    hanging.touch()
    goes_on(pods, container)
    assert left(pods) == [] and list((tmp_path / "out").iterdir()) == []


def test_a_daemon_that_dies_meanwhile(pods: Node, busybox_ref: str, tmp_path: Path, hanging: Path) -> None:
    _, container = counter(pods, busybox_ref)
    pending = pods.cri.start("CheckpointContainer", container_id=container, location=str(tmp_path / "c.tar"))
    until(lambda: left(pods) == [f"{container}.dump"], "no checkpoint is under way")
    until(lambda: frozen(container), "the container is not frozen")
    pods.restart(kill=True)
    del pending
    goes_on(pods, container)
    hanging.touch()
    assert left(pods) == [] and not (tmp_path / "c.tar").exists()


def test_stopping_does_not_wait_for_a_checkpoint(pods: Node, busybox_ref: str, tmp_path: Path, hanging: Path) -> None:
    _, container = counter(pods, busybox_ref)
    pending = pods.cri.start("CheckpointContainer", container_id=container, location=str(tmp_path / "c.tar"))
    until(lambda: frozen(container), "the container is not frozen")
    pods.cri.call("StopContainer", container_id=container, timeout=0)
    assert pods.status(container).exit_code == 137
    hanging.touch()
    assert pending.exception(timeout=30) is not None
    assert left(pods) == [] and not (tmp_path / "c.tar").exists()


def frozen(container: str) -> bool:
    """Whether the freezer has stopped it (cgroup v1 or v2)."""
    base = Path("/sys/fs/cgroup")
    for path in [*base.glob(f"freezer/*/*/{container}/freezer.state"), *base.glob(f"*/*/{container}/cgroup.freeze")]:
        if path.read_text().strip() in ("FROZEN", "1"):
            return True
    return False
