"""NRI's events: the bit of each in a plugin's subscription, its method and its request."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket._proto.nri import api_pb2 as api


class Event(msgspec.Struct, frozen=True):
    """One event. `state_change` says that old plugins get it as a StateChange instead of a call of its own."""

    number: int
    method: str
    request: Any
    response: Any
    state_change: bool = False

    @property
    def bit(self) -> int:
        """Its bit in the mask that a plugin subscribes with."""
        return 1 << (self.number - 1)


def _event(number: int, method: str, state_change: bool = False) -> Event:
    return Event(number, method, getattr(api, f"{method}Request"), getattr(api, f"{method}Response"), state_change)


RUN_POD = _event(api.RUN_POD_SANDBOX, "RunPodSandbox", True)
UPDATE_POD = _event(api.UPDATE_POD_SANDBOX, "UpdatePodSandbox")
POST_UPDATE_POD = _event(api.POST_UPDATE_POD_SANDBOX, "PostUpdatePodSandbox", True)
STOP_POD = _event(api.STOP_POD_SANDBOX, "StopPodSandbox", True)
REMOVE_POD = _event(api.REMOVE_POD_SANDBOX, "RemovePodSandbox", True)
CREATE = _event(api.CREATE_CONTAINER, "CreateContainer")
POST_CREATE = _event(api.POST_CREATE_CONTAINER, "PostCreateContainer", True)
START = _event(api.START_CONTAINER, "StartContainer", True)
POST_START = _event(api.POST_START_CONTAINER, "PostStartContainer", True)
UPDATE = _event(api.UPDATE_CONTAINER, "UpdateContainer")
POST_UPDATE = _event(api.POST_UPDATE_CONTAINER, "PostUpdateContainer", True)
STOP = _event(api.STOP_CONTAINER, "StopContainer")
REMOVE = _event(api.REMOVE_CONTAINER, "RemoveContainer", True)
VALIDATE = _event(api.VALIDATE_CONTAINER_ADJUSTMENT, "ValidateContainerAdjustment")

ALL_BITS = (1 << (api.LAST - 1)) - 1
