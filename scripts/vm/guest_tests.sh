#!/usr/bin/env bash
# Runs in the guest, once for each boot. First boot: what is special to systemd and cgroup v2, ending with pods that run.
# Then the guest restarts. Second boot: what must be found after that, then the tests that every machine runs.
set -uo pipefail
cd /run/checkout-path/ && cd "$(pwd -P)" || exit 1

state=/var/lib/cricket-vm
mkdir -p $state
boot=$(($(cat $state/boot 2>/dev/null || echo 0) + 1))
echo $boot > $state/boot
export CRICKET_VM_BOOT=$boot PYTHONUNBUFFERED=1 HOME=/root
echo "boot $boot: Linux $(uname -r), $(systemctl --version | head -n 1), $(crun --version | head -n 1), $(runc --version | head -n 1)"
# The network of a node that nobody reaches: an address and a default route.
ip link add node0 type dummy && ip addr add 192.0.2.10/24 dev node0 && ip link set node0 up && ip route add default dev node0

# part NAME PATH...: run these tests; their result is in junit.NAME.xml and status.NAME (summary.py reads them).
part() {
    echo "part $1: ${*:2}"
    .venv/bin/pytest -v --no-header -p no:cacheprovider -o faulthandler_timeout=600 --durations=10 \
        --junitxml="$state/junit.$1.xml" "${@:2}" 2>&1
    echo $? > "$state/status.$1"
}

if [ $boot = 1 ]; then
    part systemd tests/vm
else
    part restarted tests/vm
    more=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^CRICKET_VM_TESTS=//p')
    read -ra more <<< "${more//,/ }"
    # Of the integration tests those that ask something of the kernel, the runtimes or the init.
    [ ${#more[@]} -gt 0 ] || more=(tests/conformance tests/integration/{kernel,oci,monitor,lifecycle,daemon})
    part everywhere "${more[@]}"
fi
