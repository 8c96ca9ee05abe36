#!/usr/bin/env bash
# Boots the guest. `run.sh tests` runs the tests in it and ends with their result; `run.sh shell` gives a root shell on
# the console (leave it with `poweroff`). Every start begins with the same guest.
#
# CRICKET_VM_LIMIT is the time for each of the two boots in seconds, CRICKET_VM_TESTS the tests for the second boot
# (paths, separated by commas).
set -euo pipefail
cd "$(dirname "$0")/../.."

mode=${1:?tests or shell}
vm=build/vm
results=$vm/results
limit=${CRICKET_VM_LIMIT:-2400}

# KVM of the paravirtual kind (on a host that is a guest itself) does not boot Debian's kernels.
accel=(-accel "tcg,thread=multi,tb-size=512" -cpu "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt")
if [ -w /dev/kvm ] && { [ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ]; }; then
    accel=(-accel kvm -cpu host)
fi
words="root=LABEL=root rw console=ttyS0 systemd.unified_cgroup_hierarchy=1 panic=-1"
words+=" random.trust_cpu=on cryptomgr.notests no_timer_check tsc=reliable nowatchdog"
disk() { echo "file=$vm/$1.disk,format=raw,if=none,id=$1,cache=unsafe"; }
qemu=(
    qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -M pc,usb=off "${accel[@]}" -smp 2 -m 3G
    -kernel $vm/vmlinuz -initrd $vm/initrd.img
    -drive "$(disk root)" -device virtio-blk-pci,drive=root,serial=root
    -drive "$(disk checkout)" -device virtio-blk-pci,drive=checkout,serial=checkout
    -drive "$(disk results)" -device virtio-blk-pci,drive=results,serial=results
    -device virtio-rng-pci -device virtio-serial-pci
)

rm -rf $results $vm/*.disk
mkdir $results
cp --sparse=always $vm/root.ext4 $vm/root.disk
cp --sparse=always $vm/checkout.ext4 $vm/checkout.disk
truncate -s 256M $vm/results.disk
trap 'rm -f $vm/*.disk' EXIT

if [ "$mode" = shell ]; then
    "${qemu[@]}" -serial mon:stdio -append "$words"
    exit
fi

began=$(date +%s)
for boot in 1 2; do
    # The port is written to standard output, which cat makes a pipe whatever it is.
    status=0
    timeout --foreground --kill-after=10 "$limit" "${qemu[@]}" -serial "file:$results/console.$boot.log" \
        -chardev file,id=tests,path=/dev/stdout -device virtserialport,chardev=tests,name=cricket.tests \
        -append "$words cricket.tests CRICKET_VM_TESTS=${CRICKET_VM_TESTS:-}" | cat || status=$?
    [ $status -eq 0 ] || echo "boot $boot: qemu ended with status $status (124: over the limit of $limit s)" >&2
    tar -C $results -xf $vm/results.disk
done
/usr/bin/python3 scripts/vm/summary.py $results "$(($(date +%s) - began))"
