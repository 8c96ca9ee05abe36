"""The directories of the daemon: room, inodes, file systems that overlays can lie on, propagation of mounts."""

from __future__ import annotations

import os

from cricket.cli.doctor.finding import Findings, Unseen, error, info, ok, warning
from cricket.cli.doctor.host import Host, Mount
from cricket.cli.words import size

_LITTLE_SHARE, _LITTLE = 0.10, 2_000_000_000
_NOTHING = 200_000_000
# Upper directories need xattrs, d_type and renames that these do not have.
_NO_UPPER = frozenset(
    ("overlay", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vfat", "exfat", "ntfs3", "ecryptfs")
)
_KUBELET = "/var/lib/kubelet"


def space(host: Host) -> Findings:
    """Images, layers and what containers write."""
    for name, path in (("root", host.config.root), ("state", host.config.state)):
        there = _existing(host, path)
        status = _statvfs(host, there)
        free, whole = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
        text = f"{path}: {size(free)} of {size(whole)} are free"
        why = "Pulls fail, and the kubelet evicts pods and collects images when 85 % are used."
        if name == "state":
            why = "Sockets, pins and bundles of pods are there."
        if free < _NOTHING and free < whole * _LITTLE_SHARE:
            yield error(text, why, "Make room.", f"du -xh --max-depth=2 {there} | sort -h | tail")
        elif free < whole * _LITTLE_SHARE and (free < _LITTLE or name == "root"):
            yield warning(text, why, "Make room: `cricket rmi --unused` removes images that no container uses.")
        else:
            yield ok(text)


def inodes(host: Host) -> Findings:
    """Every file of every image takes one."""
    for path in (host.config.root, host.config.state):
        status = _statvfs(host, _existing(host, path))
        if status.f_files and status.f_favail < status.f_files * _LITTLE_SHARE / 2:
            why = "Unpacking fails with `no space left on device` although there is room."
            yield warning(f"{path}: {status.f_favail} of {status.f_files} inodes are free", why, "Remove images.")
        else:
            count = f"{status.f_favail} inodes are free" if status.f_files else "inodes without limit"
            yield ok(f"{path}: {count}")


def file_system(host: Host) -> Findings:
    """What overlays can lie on."""
    root, state = host.config.root, host.config.state
    mount = host.mount_of(root)
    if mount is not None:
        yield from _data(root, mount)
    mount = host.mount_of(state)
    if mount is not None and mount.fstype not in ("tmpfs", "ramfs"):
        why = "After a reboot it holds what belongs to the boot before; recovery sorts it out, but slower."
        yield info(f"{state} is on {mount.fstype}, not on tmpfs", why)
    elif mount is not None:
        yield ok(f"{state} is on {mount.fstype}")


def _data(root: str, mount: Mount) -> Findings:
    why = "Containers write into the upper directory of an overlay, which lies there."
    if "ro" in mount.options or "ro" in mount.super_options:
        todo = "Look into the kernel's log for the reason before you mount it writable."
        yield error(f"{root} is read-only", why, todo, f"mount -o remount,rw {mount.point}")
    elif mount.fstype in _NO_UPPER or mount.fstype.startswith("fuse."):
        todo = "Put `root` on ext4, xfs or btrfs" + (
            ", as a volume of this container." if mount.fstype == "overlay" else "."
        )
        yield error(f"{root} is on {mount.fstype}, on which no overlay can be written", why, todo)
    elif mount.fstype in ("tmpfs", "ramfs"):
        yield warning(f"{root} is on {mount.fstype}", "Images take memory, and are pulled again after each boot.")
    else:
        yield ok(f"{root} is on {mount.fstype}")


def d_type(host: Host) -> Findings:
    """xfs made without ftype=1 (before 2015) hides the kind of directory entries, which overlays need."""
    mount = host.mount_of(host.config.root)
    output = host.outputs.get("xfs_info")
    if mount is None or output is None:
        return
    if "ftype=0" in output.text:
        why = "Removed files of an image appear again in containers."
        yield error(f"{mount.point} is xfs with ftype=0", why, "Make the file system anew: mkfs.xfs -n ftype=1.")
    else:
        yield ok("xfs with ftype=1")


def propagation(host: Host) -> Findings:
    """Mounts of pods and CSI drivers travel by it; systemd makes it so, other inits may not."""
    private = []
    for path in ("/", _KUBELET):
        mount = host.mount_of(path)
        if mount is not None and not mount.shared and host.exists(path) and mount.point not in private:
            private.append(mount.point)
    if private:
        why = "Volumes with mountPropagation Bidirectional or HostToContainer, and so CSI drivers, do not work."
        todo = "At every boot, before the daemon starts:"
        yield warning(f"mounts at {' and '.join(private)} are private", why, todo, f"mount --make-rshared {private[0]}")
    else:
        yield ok("mounts are shared with pods that ask for it")


def volumes(host: Host) -> Findings:
    """emptyDirs and what is in them are bind-mounted with the flags of the file system they come from."""
    mount = host.mount_of(_KUBELET)
    flags = [flag for flag in ("noexec", "nodev", "nosuid") if mount is not None and flag in mount.options]
    if not host.exists(_KUBELET):
        return
    if mount is not None and "noexec" in flags:
        why = "Programs in emptyDir volumes cannot be run (`permission denied`). Images are not concerned."
        yield warning(f"{_KUBELET} is mounted {','.join(flags)}", why, "", f"mount -o remount,exec {mount.point}")
    else:
        yield ok("programs in volumes can be run")


def _existing(host: Host, path: str) -> str:
    """The path, or the directory in which it would be made."""
    while not host.exists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _statvfs(host: Host, path: str) -> os.statvfs_result:
    try:
        return os.statvfs(host.at(path))
    except OSError as error:
        raise Unseen("may not be looked at", where=path) from error
