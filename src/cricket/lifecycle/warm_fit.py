"""Does a warm sandbox serve this pod as well as one that is made for it?"""

from __future__ import annotations

from cricket.lifecycle import sandbox_namespaces, sandbox_sysctls
from cricket.lifecycle.warm_make import KINDS
from cricket.network.network import Network
from cricket.network.warm import Terms
from cricket.types.sandbox import SandboxConfig

# CRI-O's annotation for another size of the shared memory, see sandbox_check.py.
_SHM_ANNOTATION = "io.kubernetes.cri-o.ShmSize"


def fits(config: SandboxConfig, network: Network, terms: Terms) -> bool:
    """False when the pod wants other namespaces or shared memory, or something of its own from the plugins.

    Its sysctls are set after the network was, so they must be such for which that makes no difference, and none at all
    of the network when a plugin sets some, which would come later.
    """
    if sandbox_namespaces.wanted(config) != KINDS or _SHM_ANNOTATION in config.annotations:
        return False
    if not sandbox_sysctls.may_be_late(config.sysctls):
        return False
    if sandbox_sysctls.of_network(config.sysctls) and any(p["type"] == "tuning" for p in terms.conf.plugins):
        return False
    return network.fits(config, terms)
