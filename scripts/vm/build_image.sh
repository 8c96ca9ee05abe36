#!/usr/bin/env bash
# Builds the guest: a Debian 12 root file system with systemd, Debian's cloud kernel and the packages that the tests
# want, as build/vm/{root.ext4,vmlinuz,initrd.img}. Built anew only when one of its inputs has changed.
set -euo pipefail
cd "$(dirname "$0")/../.."

SUITE=bookworm
inputs=(scripts/vm/build_image.sh scripts/vm/guest/* scripts/install_packages.sh)
out=build/vm
key=$(cat "${inputs[@]}" | sha256sum | cut -d' ' -f1)
if [ "$(cat $out/key 2>/dev/null)" = "$key" ] && [ -e $out/root.ext4 ]; then
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "building the guest needs root" >&2; exit 1; }

# Packages come from where this machine gets its own.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $SUITE" | head -n 1)
[ -n "$mirror" ] || { echo "apt on this machine has no source for $SUITE; run apt-get update" >&2; exit 1; }

mkdir -p $out
root=$(mktemp -d $out/root.XXXXXX)
chmod 755 "$root"
trap 'umount -R "$root/proc" "$root/checkout" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT

echo "Building the guest (a few minutes, once): debootstrap"
debootstrap --variant=minbase --include=systemd-sysv,dbus,udev $SUITE "$root" "$mirror" > $out/debootstrap.log 2>&1 \
    || { tail -n 20 $out/debootstrap.log >&2; exit 1; }
cp -a /etc/apt/. "$root/etc/apt/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

echo "Building the guest: packages"
mkdir "$root/checkout"
mount --bind . "$root/checkout"
mount -t proc proc "$root/proc"
chroot "$root" /checkout/scripts/vm/guest/setup.sh > $out/setup.log 2>&1 || { tail -n 20 $out/setup.log >&2; exit 1; }
umount "$root/proc" "$root/checkout"
rmdir "$root/checkout"

echo "Building the guest: disk"
cp -L "$root/vmlinuz" $out/vmlinuz
cp -L "$root/initrd.img" $out/initrd.img
rm -f $out/root.ext4
mke2fs -q -t ext4 -L root -d "$root" $out/root.ext4 6G
echo "$key" > $out/key
