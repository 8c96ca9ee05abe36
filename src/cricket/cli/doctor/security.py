"""AppArmor and SELinux, files with secrets, and who may talk to the daemon."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from cricket.cli.doctor.finding import Findings, Unseen, info, ok, warning
from cricket.cli.doctor.host import Host


def apparmor(host: Host) -> Findings:
    """Enabled and with the tool that loads profiles, or not there."""
    if host.read("/sys/module/apparmor/parameters/enabled").strip() != "Y":
        yield ok("AppArmor is not active: pods run without its profiles")
    elif "apparmor_parser" not in host.outputs:
        why = "The profile for RuntimeDefault cannot be loaded: containers that ask for it fail."
        yield warning("AppArmor is active, but apparmor_parser is missing", why, "Install the package apparmor.")
    else:
        yield ok("AppArmor is active, and profiles can be loaded")


def selinux(host: Host) -> Findings:
    """Enforced, and then with labels."""
    enforce = host.read("/sys/fs/selinux/enforce").strip()
    labels = host.config.security.selinux
    if not enforce:
        compiled = "\tselinuxfs\n" in host.read("/proc/filesystems")
        if labels:
            yield warning("security.selinux is set, but SELinux is not active", "No label is given.", "Unset it.")
        else:
            yield ok("SELinux is not active" + (" (the kernel has it)" if compiled else ""))
        return
    state = "enforcing" if enforce == "1" else "permissive"
    policy = host.read("/etc/selinux/config").partition("\nSELINUXTYPE=")[2].split("\n")[0].strip() or "targeted"
    if not labels:
        why = "Containers run with the daemon's label, so SELinux does not keep them apart."
        yield warning(f"SELinux is {state}, but not used for containers", why, "Set security.selinux = true.")
    elif not host.exists(f"/etc/selinux/{policy}/contexts/lxc_contexts"):
        why = "The labels of containers are not known to the policy."
        yield warning(f"SELinux is {state}, without a policy for containers", why, "Install container-selinux.")
    else:
        yield ok(f"SELinux is {state}, and containers are labelled")


def credentials(host: Host) -> Findings:
    """Passwords of registries."""
    open_ = []
    for path in host.config.images.docker_configs:
        try:
            if os.stat(host.at(path)).st_mode & 0o044:
                open_.append(path)
        except OSError:  # not there, or in a directory that is closed to us
            continue
    for path in open_:
        yield warning(f"{path} can be read by others", "It holds passwords of registries.", command=f"chmod 600 {path}")
    if not open_:
        yield ok("files with credentials are closed to others")


def access(host: Host) -> Findings:
    """Whoever may open the socket is root: a privileged pod with the host's files is one request away."""
    path = host.socket
    try:
        status = os.stat(host.at(path))
    except PermissionError as error:
        raise Unseen("may not be looked at", where=path) from error
    except OSError:  # there is none
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o006:
        why = "Who may ask for pods may ask for privileged ones: everybody here is root."
        command = f"chmod o= {path}"
        todo = "" if host.foreign else 'Set socket_mode = "0660" as well.'
        yield warning(f"everybody may open {path}", why, todo, command)
        return
    people = [_user(status.st_uid)]
    if mode & 0o060 and status.st_gid != 0:
        group, members = _group(status.st_gid)
        people.append(f"group {group} ({', '.join(members) or 'nobody is in it'})")
    text = f"{path} opens for {' and '.join(people)}"
    yield ok(text) if len(people) == 1 else info(text, "They can become root by it.")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> tuple[str, list[str]]:
    try:
        entry = grp.getgrgid(gid)
    except KeyError:
        return str(gid), []
    first = [user.pw_name for user in pwd.getpwall() if user.pw_gid == gid]
    return entry.gr_name, sorted({*entry.gr_mem, *first})
