"""An attachment, and what a plugin is told about it (CNI SPEC section 3, "Deriving request configuration")."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cricket.network import names
from cricket.network.conf import NetworkConf
from cricket.network.result import Json

IFNAME = "eth0"


class Attachment(msgspec.Struct, frozen=True):
    """A sandbox on a network: (container id, netns path, interface name) with its arguments.

    `netns` is "" when the namespace is gone. `args` become CNI_ARGS; `capabilities` maps a capability's name to its
    value, of which a plugin sees those that its configuration declares.
    """

    container_id: str
    netns: str
    ifname: str = IFNAME
    args: tuple[tuple[str, str], ...] = ()
    capabilities: dict[str, object] = {}

    def check(self) -> None:
        """Raises InvalidArgument when a part cannot be handed to a plugin."""
        names.check_word(self.container_id, "the sandbox id")
        names.check_interface(self.ifname)


# What a plugin is called with when there is no attachment: GC and STATUS.
NOWHERE = Attachment(container_id="", netns="", ifname="")


def request(
    conf: NetworkConf,
    plugin: Mapping[str, object],
    *,
    attachment: Attachment | None = None,
    previous: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Json:
    """The plugin's configuration as it goes to its standard input.

    Everything of the file is passed through but what the runtime owns: `name`, `cniVersion`, `prevResult`,
    `runtimeConfig`, `capabilities` and keys that begin with `cni.dev/`.
    """
    owned = ("capabilities", "prevResult", "runtimeConfig")
    out: Json = {k: v for k, v in plugin.items() if k not in owned and not k.startswith("cni.dev/")}
    out |= {"name": conf.name, "cniVersion": conf.version}
    if attachment is not None:
        declared = plugin.get("capabilities")
        wanted = [k for k, on in declared.items() if on] if isinstance(declared, dict) else []
        given = {k: attachment.capabilities[k] for k in wanted if k in attachment.capabilities}
        if given:
            out["runtimeConfig"] = given
    if previous is not None:
        out["prevResult"] = previous
    out.update(extra or {})
    return out
