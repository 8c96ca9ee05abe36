"""Configurations as the verbose information shows them: the JSON of CRI's messages, as containerd has it.

Names as in the proto, enums as numbers, and the values of variables, which are bytes in the proto, as text.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from cricket.cri.convert_container import container_config_to
from cricket.cri.convert_sandbox import sandbox_config_to
from cricket.types.container import ContainerConfig
from cricket.types.sandbox import SandboxConfig


def sandbox_info(config: SandboxConfig) -> dict[str, str]:
    """The PodSandboxConfig under the name "config"."""
    return {"config": json.dumps(_fields(sandbox_config_to(config)))}


def container_info(config: ContainerConfig) -> dict[str, str]:
    """The ContainerConfig under the name "config"."""
    fields = _fields(container_config_to(config))
    fields["envs"] = [{"key": key, "value": value} for key, value in config.env]
    return {"config": json.dumps(fields)}


def _fields(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, use_integers_for_enums=True
    )
    return found
