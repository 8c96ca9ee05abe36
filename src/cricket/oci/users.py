"""Who the first process is: the request's user, the image's, and what the image's /etc/passwd and /etc/group say."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import msgspec

from cricket.errors import FailedPrecondition, InvalidArgument, map_errors
from cricket.kernel.confined import open_in_root, open_root
from cricket.oci.check import between
from cricket.types.container import UserIds
from cricket.types.security import ContainerSecurity, GroupsPolicy

# runc takes no larger id.
MAX_ID = (1 << 31) - 1
_MAX_FILE = 8 << 20


class _User(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(rootfs: str, security: ContainerSecurity, image_user: str) -> UserIds:
    """The ids of the container's first process; reads two small files of the image, which is not trusted.

    The user is run_as_username, else run_as_user, else the image's USER ("user", "uid", "user:group", ...), else 0. The
    group is run_as_group, else the one after the image's colon, else the user's in /etc/passwd, else 0. Supplementary
    groups are the primary one, those asked for, and with the policy Merge those that /etc/group has the user in.

    Raises InvalidArgument: run_as_group without a user, two users, an unknown name, an id out of range.
    """
    check_user(security)
    files = _Files(rootfs)
    group = ""
    if security.run_as_username:
        user = files.named(security.run_as_username, "run_as_username", must_exist=True)
    elif security.run_as_user is not None:
        user = files.numbered(security.run_as_user)
    else:
        name, _, group = image_user.partition(":")
        user = files.named(name or "0", "the image's user")
    gid = user.gid
    if security.run_as_group is not None:
        gid = security.run_as_group
    elif group:
        gid = files.group(group, "the image's group")
    groups = {gid, *security.supplemental_groups}
    if security.groups_policy == GroupsPolicy.MERGE and user.name:
        groups.update(g.gid for g in files.groups() if user.name in g.members)
    return UserIds(uid=user.uid, gid=gid, groups=tuple(sorted(groups)))


def check_user(security: ContainerSecurity) -> None:
    """The checks that need no image. Raises InvalidArgument."""
    if security.run_as_user is not None and security.run_as_username:
        raise InvalidArgument("run_as_user and run_as_username exclude each other", where="security_context")
    if security.run_as_group is not None and security.run_as_user is None and not security.run_as_username:
        raise InvalidArgument("run_as_group needs run_as_user or run_as_username", where="security_context")
    between(security.run_as_user or 0, 0, MAX_ID, "run_as_user")
    between(security.run_as_group or 0, 0, MAX_ID, "run_as_group")
    for gid in security.supplemental_groups:
        between(gid, 0, MAX_ID, "supplemental_groups")


class _Files:
    """/etc/passwd and /etc/group below a root, read when needed. The first entry that fits counts."""

    def __init__(self, root: str) -> None:
        self.root = root

    def users(self) -> Iterator[_User]:
        for fields in _entries(self.root, "/etc/passwd", 4):
            uid, gid = _id(fields[2]), _id(fields[3])
            if uid is not None and gid is not None:
                yield _User(fields[0], uid, gid)

    def groups(self) -> Iterator[_Group]:
        for fields in _entries(self.root, "/etc/group", 3):
            gid = _id(fields[2])
            if gid is not None:
                members = fields[3].split(",") if len(fields) > 3 else []
                yield _Group(fields[0], gid, tuple(m.strip() for m in members))

    def numbered(self, uid: int) -> _User:
        """The entry of a uid; an unknown uid has no name and group 0."""
        return next((u for u in self.users() if u.uid == uid), _User("", uid, 0))

    def named(self, name: str, field: str, *, must_exist: bool = False) -> _User:
        """The entry of a name, or of a uid written as digits, which need not be in the file unless `must_exist`."""
        found = next((u for u in self.users() if u.name == name), None)
        if found is None and name.isascii() and name.isdigit():
            found = self.numbered(between(int(name[:20]), 0, MAX_ID, field))
            if must_exist and not found.name:
                found = None
        if found is None:
            raise InvalidArgument(f"the image has no user {name[:200]!r} in /etc/passwd", where=field)
        return found

    def group(self, name: str, field: str) -> int:
        """The gid of a group's name, or of digits."""
        found = next((g.gid for g in self.groups() if g.name == name), None)
        if found is None and name.isascii() and name.isdigit():
            found = between(int(name[:20]), 0, MAX_ID, field)
        if found is None:
            raise InvalidArgument(f"the image has no group {name[:200]!r} in /etc/group", where=field)
        return found


def _entries(root: str, path: str, least: int) -> Iterator[list[str]]:
    for line in _read(root, path).decode("utf-8", "surrogateescape").split("\n"):
        fields = line.strip().split(":")
        # "+" and "-" begin NIS entries.
        if len(fields) >= least and fields[0] and fields[0][0] not in "#+-":
            yield fields


def _read(root: str, path: str) -> bytes:
    """A file of the image, empty when there is none."""
    with map_errors(OSError, FailedPrecondition, "cannot read a file of the image", where=path):
        root_fd = open_root(root)
        try:
            # What is no regular file may block, or do something, when it is opened.
            fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        finally:
            os.close(root_fd)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidArgument("a file of the image is no regular file", where=path)
            if status.st_size > _MAX_FILE:
                raise InvalidArgument(f"a file of the image is larger than {_MAX_FILE} bytes", where=path)
            return file.read(_MAX_FILE)


def _id(text: str) -> int | None:
    """A number that the kernel can take, else None: a broken line is skipped, not obeyed."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    number = int(text)
    return number if number <= MAX_ID else None
