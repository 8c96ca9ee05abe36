"""The way to `masquerade`, which makes and removes the rules of `ipMasq`, for the plugins that have that option."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Protocol, cast

from cricket.network.builtin.base import Call

_MODULE = "cricket.network.builtin.masquerade"


class Masquerade(Protocol):
    """What the module offers. The functions block, run in the host's network namespace and raise CricketError kinds."""

    def supported(self, conf: Mapping[str, object]) -> bool:
        """Whether it can do what `ipMasqBackend` and this host want; cheap, called on the event loop."""

    def setup(self, addresses: Sequence[str], *, network: str, ifname: str, container_id: str) -> None:
        """Masquerade what leaves the subnets of `addresses` ("10.1.0.5/16"). Idempotent."""

    def teardown(self, addresses: Sequence[str], *, network: str, ifname: str, container_id: str) -> None:
        """Undo it, also what the standard plugins made; `addresses` may be empty. Idempotent."""


@cache
def masquerade() -> Masquerade | None:
    """The module, None when it is not there."""
    try:
        return cast(Masquerade, importlib.import_module(_MODULE))
    except ModuleNotFoundError as e:
        if e.name != _MODULE:
            raise
        return None


def supported(conf: Mapping[str, object]) -> bool:
    """Whether a configuration with `ipMasq` can be served in this process."""
    module = masquerade()
    return module is not None and module.supported(conf)


def setup(call: Call, addresses: Sequence[str]) -> None:
    """Make the rules of an attachment."""
    module, a = masquerade(), call.attachment
    if module is not None:
        module.setup(addresses, network=call.network, ifname=a.ifname, container_id=a.container_id)


def teardown(call: Call, addresses: Sequence[str]) -> None:
    """Remove the rules of an attachment; without known addresses those of the cached result count."""
    module, a = masquerade(), call.attachment
    if module is None:
        return
    if not addresses and call.previous is not None:
        ips = call.previous.get("ips")
        found = [i.get("address") for i in ips if isinstance(i, dict)] if isinstance(ips, list) else []
        addresses = [f for f in found if isinstance(f, str)]
    module.teardown(addresses, network=call.network, ifname=a.ifname, container_id=a.container_id)
