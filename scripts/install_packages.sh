#!/usr/bin/env bash
# Installs Debian packages: `install_packages.sh run` what Cricket needs to run, `install_packages.sh test` also what its
# tests use. Does nothing when all are there. Services that packages bring are not started.
set -euo pipefail

RUN="python3-venv crun runc conmon containernetworking-plugins catatonit criu iptables nftables iproute2 util-linux
     busybox-static ca-certificates"
TEST="containerd docker-registry skopeo umoci nginx-light openssl apache2-utils procps strace gcc libc6-dev"

packages=$RUN
[ "${1:-run}" = test ] && packages="$RUN $TEST"

missing=()
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These packages are missing; install them as root: ${missing[*]}" >&2
    exit 1
fi
echo "Installing: ${missing[*]}"
made_policy=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    made_policy=1
fi
trap '[ -z "$made_policy" ] || rm -f /usr/sbin/policy-rc.d' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
