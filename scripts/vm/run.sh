#!/usr/bin/env bash
# Boots the guest. `run.sh tests` runs the tests in it and ends with their result; `run.sh shell` gives a root shell on
# the console (leave it with `poweroff`). The disks are not changed: every start begins with the same guest.
#
# CRICKET_VM_LIMIT is the time for everything in seconds, CRICKET_VM_TESTS what pytest gets besides tests/vm.
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:?tests or shell}
vm=build/vm
limit=${CRICKET_VM_LIMIT:-3000}

# KVM of the paravirtual kind (a host that is a guest itself) does not boot Debian's kernels.
accel=(-accel "tcg,thread=multi,tb-size=512" -cpu "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt")
if [ -w /dev/kvm ] && { [ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ]; }; then
    accel=(-accel kvm -cpu host)
fi

rm -rf $vm/results
mkdir $vm/results
rm -f $vm/results.disk
truncate -s 256M $vm/results.disk
words="root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1 random.trust_cpu=on cryptomgr.notests"
words+=" no_timer_check tsc=reliable nowatchdog panic=-1"
qemu=(
    qemu-system-x86_64 -nodefaults -no-user-config -display none -M pc,usb=off "${accel[@]}" -smp 2 -m 3G
    -kernel $vm/vmlinuz -initrd $vm/initrd.img
    -drive "file=$vm/root.ext4,format=raw,if=virtio,snapshot=on,cache=unsafe"
    -drive "file=$vm/checkout.ext4,format=raw,if=virtio,snapshot=on,cache=unsafe"
    -drive "file=$vm/results.disk,format=raw,if=none,id=results,cache=unsafe"
    -device virtio-blk-pci,drive=results,serial=results
    -device virtio-rng-pci -device virtio-serial-pci
)

if [ "$mode" = shell ]; then
    exec "${qemu[@]}" -serial mon:stdio -append "$words"
fi

began=$(date +%s)
status=0
timeout --foreground --kill-after=10 "$limit" "${qemu[@]}" -serial "file:$vm/results/console.log" \
    -chardev "file,id=tests,path=/dev/stdout" -device virtserialport,chardev=tests,name=cricket.tests \
    -append "$words cricket.tests CRICKET_VM_TESTS=${CRICKET_VM_TESTS:-}" < /dev/null || status=$?
tar -C $vm/results -xf $vm/results.disk 2>/dev/null || true
[ $status -eq 0 ] || echo "qemu ended with status $status (124: over the limit of $limit s)" >&2
exec /usr/bin/python3 scripts/vm/summary.py $vm/results "$(($(date +%s) - began))"
