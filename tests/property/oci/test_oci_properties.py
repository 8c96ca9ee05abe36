"""Whatever a request or an image holds: an answer or a CricketError, and never a path outside."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cricket.errors import CricketError
from cricket.kernel.confined import open_in_root, open_root
from cricket.oci import check, mountinfo
from cricket.oci.capabilities import process_capabilities
from cricket.oci.capability_names import CAPABILITIES
from cricket.oci.cdi.model import parse
from cricket.oci.cgroup import cgroup_dir, slice_path
from cricket.oci.host import HostFacts
from cricket.oci.messages import last_message
from cricket.oci.resources import linux_resources
from cricket.oci.seccomp_profile import from_profile, parse_profile
from cricket.oci.signals import parse_signal
from cricket.oci.users import resolve_user
from cricket.types.node import CgroupDriver
from cricket.types.resources import Resources
from cricket.types.security import Capabilities, ContainerSecurity

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.sampled_from(["a", "b", "..", ".", "", "link", "abs", "etc"])


@given(texts)
@settings(deadline=None)
def test_paths_are_normal_or_refused(text: str) -> None:
    try:
        path = check.absolute_path("/" + text, "f")
    except CricketError:
        return
    assert path == "/" + "/".join(p for p in text.split("/") if p not in ("", "."))
    assert os.path.normpath(path) == path


@given(texts)
@settings(deadline=None)
def test_signals(text: str) -> None:
    try:
        assert 1 <= parse_signal(text) <= 64
    except CricketError:
        pass


@given(st.binary(max_size=300), st.binary(max_size=300), texts)
@settings(max_examples=60, deadline=None)
def test_users_of_any_files(passwd: bytes, group: bytes, user: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "etc").mkdir()
        (Path(root) / "etc/passwd").write_bytes(b"u:x:5:6\n" + passwd)
        (Path(root) / "etc/group").write_bytes(group)
        try:
            ids = resolve_user(root, ContainerSecurity(), user)
        except CricketError:
            return
        assert all(0 <= i < 1 << 31 for i in (ids.uid, ids.gid, *ids.groups))


@given(st.lists(names, max_size=6), st.lists(names, max_size=6), st.lists(names, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_path_leads_out_of_the_root(link: list[str], absolute: list[str], path: list[str]) -> None:
    with tempfile.TemporaryDirectory() as outer:
        root = Path(outer, "root")
        (root / "a/b").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "a/link").symlink_to("/".join(link) or ".")
        (root / "abs").symlink_to("/" + "/".join(absolute))
        root_fd = open_root(str(root))
        try:
            fd = open_in_root(root_fd, "/".join(path), os.O_PATH)
        except OSError:
            return
        finally:
            os.close(root_fd)
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        assert found == str(root) or found.startswith(f"{root}/")


@given(st.lists(st.sampled_from([*(c[4:] for c in CAPABILITIES), "ALL", "nope"]), max_size=4), st.data())
@settings(deadline=None)
def test_capabilities_never_exceed_the_daemons(add: list[str], data: st.DataObject) -> None:
    available = data.draw(st.frozensets(st.sampled_from(CAPABILITIES)))
    drop = data.draw(st.lists(st.sampled_from(["ALL", "KILL", "CHOWN"]), max_size=2))
    asked = ContainerSecurity(capabilities=Capabilities(add=tuple(add), drop=tuple(drop)))
    try:
        found = process_capabilities(asked, available)
    except CricketError:
        return
    assert set(found["bounding"]) <= available
    assert not {f"CAP_{d}" for d in drop} & set(found["bounding"])


@given(texts, texts)
@settings(deadline=None)
def test_slices_and_parents(parent: str, container: str) -> None:
    for driver in CgroupDriver:
        try:
            path = cgroup_dir(parent, "id", driver)
        except CricketError:
            continue
        assert path.startswith("/")
        assert ".." not in path.split("/")
    assert slice_path("a-b.slice").endswith("/a-b.slice")


@given(
    st.builds(
        Resources, cpu_quota=st.integers(), memory_limit=st.integers(), cpuset_cpus=texts, cpu_shares=st.integers()
    )
)
@settings(deadline=None)
def test_limits(asked: Resources) -> None:
    try:
        found = linux_resources(asked, HostFacts(swap=True))
    except CricketError:
        return
    assert found.get("memory", {}).get("limit", 1) >= -1


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_files_that_are_anything(content: bytes) -> None:
    for read in (lambda: parse(content, "x.json"), lambda: from_profile(parse_profile(content, "x"), (), HostFacts())):
        try:
            read()
        except CricketError:
            pass
    assert isinstance(last_message(content), str)
    mountinfo.parse(content.decode("utf-8", "replace"))
