#!/usr/bin/env bash
# Installs what the host needs to build and boot the guest; does nothing when all is there.
set -euo pipefail

packages="debootstrap qemu-system-x86 e2fsprogs"
missing=()
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
