#!/usr/bin/env bash
# Runs in the guest after the tests of a boot, however they ended: restarts the guest, or hands the results out and
# ends it.
set -uo pipefail
state=/var/lib/cricket-vm
boot=$(cat $state/boot)
journalctl -b -o short-monotonic > $state/journal.$boot.log
journalctl -b -u cricket -o cat > $state/cricket.$boot.log
if [ "$boot" = 1 ]; then
    systemctl --no-block reboot
else
    tar -C $state -cf /dev/disk/by-id/virtio-results .
    sync
    systemctl --no-block poweroff
fi
