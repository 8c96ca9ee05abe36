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
# The network of a node that nobody reaches: an address and a default route.
ip link add node0 type dummy && ip addr add 192.0.2.10/24 dev node0 && ip link set node0 up && ip route add default dev node0

tests=(tests/vm)
if [ $boot = 2 ]; then
    more=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^CRICKET_VM_TESTS=//p')
    read -ra more <<< "${more//,/ }"
    [ ${#more[@]} -gt 0 ] || more=(tests/conformance tests/integration)
    for each in "${more[@]}"; do
        [ -n "$(find "$each" -name 'test_*.py' -print -quit)" ] && tests+=("$each")
    done
fi
echo "boot $boot: $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'), ${tests[*]}"
.venv/bin/pytest -v --no-header -p no:cacheprovider -o faulthandler_timeout=600 --durations=15 \
    --junitxml=$state/junit.$boot.xml "${tests[@]}" 2>&1
echo $? > $state/status.$boot
