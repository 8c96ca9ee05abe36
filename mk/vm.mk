# Tests in a virtual machine with systemd and cgroup v2, which is what production nodes have (docs/testing.md).
.PHONY: test-vm vm-image vm-shell vm-clean

test-vm: vm-image ## Conformance and integration tests in a Debian guest with systemd and cgroup v2 (as root, slow)
	@scripts/vm/run.sh tests

vm-shell: vm-image ## A root shell in that guest
	@scripts/vm/run.sh shell

vm-image: venv
	@scripts/vm/packages.sh
	@scripts/vm/build_image.sh
	@scripts/vm/pack_checkout.sh

vm-clean: ## Remove the guest's disks
	rm -rf build/vm
