#!/usr/bin/env bash
# Runs in the guest's root file system while it is built: installs packages and the units of this directory.
set -euo pipefail
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# Only what the virtual machine has: a small initrd boots fast under emulation.
mkdir -p /etc/initramfs-tools/conf.d /etc/modules-load.d
printf 'MODULES=list\nCOMPRESS=lz4\n' > /etc/initramfs-tools/conf.d/cricket
apt-get update -qq
apt-get -y -qq dist-upgrade
apt-get -y -qq install --no-install-recommends initramfs-tools lz4 kmod
printf 'virtio_pci\nvirtio_blk\next4\n' >> /etc/initramfs-tools/modules
apt-get -y -qq install --no-install-recommends linux-image-cloud-amd64 apparmor systemd-timesyncd less
"$here/../../install_packages.sh" test
apt-get clean
rm -rf /var/lib/apt/lists/*

echo cricket-vm > /etc/hostname
echo '127.0.0.1 localhost cricket-vm' > /etc/hosts
: > /etc/resolv.conf
echo 'LABEL=root / ext4 errors=remount-ro 0 1' > /etc/fstab
passwd -d root
mkdir -p /var/log/journal
cp "$here"/*.service /etc/systemd/system/
install -m 755 "$here/mount_checkout.sh" /usr/local/sbin/mount-checkout
systemctl enable checkout.service cricket-tests.service
# What only costs time in a machine that lives for minutes.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-timesyncd.service containerd.service docker-registry.service \
    nginx.service systemd-pstore.service
