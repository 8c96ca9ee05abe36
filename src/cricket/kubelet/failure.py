"""Why a container or pod cannot be started now, in the words of `kubectl describe`."""

from __future__ import annotations

from cricket.errors import Code, CricketError


class StartFailure(CricketError):
    """A retry may help, after somebody changed something. `reason` is what kubectl shows as the waiting reason, or as
    the reason of the event."""

    code = Code.FAILED_PRECONDITION
    reason = "FailedSync"


class CreateContainerConfigError(StartFailure):
    """Something that the container refers to is missing or does not fit: a ConfigMap, a key, the image's user."""

    reason = "CreateContainerConfigError"


class FailedCreatePodContainer(StartFailure):
    """The pod's cgroup cannot be made."""

    reason = "FailedCreatePodContainer"


class FailedMount(StartFailure):
    """A volume cannot be made: its source is missing, or a hostPath is not of its type."""

    reason = "FailedMount"


class FailedCreatePodSandBox(StartFailure):
    """The sandbox's configuration cannot be made."""

    reason = "FailedCreatePodSandBox"
