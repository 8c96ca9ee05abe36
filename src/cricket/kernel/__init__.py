"""Every syscall of the project: processes, namespaces, mounts, cgroups, netlink, files."""
