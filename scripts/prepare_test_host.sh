#!/usr/bin/env bash
# Prepares a machine that is there for testing. On a user's machine `cricket status --verbose` says what is missing.
#
# crun before 1.9 refuses hybrid cgroups in which a controller sits in the v2 hierarchy. Where hugetlb is the only one,
# mounting its v1 hierarchy moves it.
set -euo pipefail
[ "$(id -u)" = 0 ] || exit 0

unified=/sys/fs/cgroup/unified/cgroup.controllers
if [ -e "$unified" ] && grep -qw hugetlb "$unified" && ! mountpoint -q /sys/fs/cgroup/hugetlb; then
    mkdir -p /sys/fs/cgroup/hugetlb
    mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb || rmdir /sys/fs/cgroup/hugetlb
fi
# Tests of mount propagation need a shared root; systemd makes it so, other inits may not.
mount --make-rshared /
