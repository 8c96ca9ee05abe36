"""Why a container does not start, in the words of `kubectl get pods` (images/types.go, kuberuntime_container.go)."""

from __future__ import annotations

from cricket.kubelet.failure import StartFailure


class ErrImagePull(StartFailure):
    """The runtime could not pull; a retry follows after a back-off."""

    reason = "ErrImagePull"


class ImagePullBackOff(StartFailure):
    """A pull failed lately: the next waits until `over` (Unix ns)."""

    reason = "ImagePullBackOff"

    def __init__(self, what: str, over: int) -> None:
        super().__init__(what)
        self.over = over


class ErrImageNeverPull(StartFailure):
    """The image is not here and may not be pulled."""

    reason = "ErrImageNeverPull"


class InvalidImageName(StartFailure):
    """What stands in `image` names none."""

    reason = "InvalidImageName"


class ResizeError(StartFailure):
    """Resources could not be changed in place; it is tried again."""

    reason = "ResizeError"


class CreateContainerError(StartFailure):
    """CreateContainer failed."""

    reason = "CreateContainerError"


class RunContainerError(StartFailure):
    """StartContainer failed."""

    reason = "RunContainerError"


class PostStartHookError(StartFailure):
    """The postStart hook failed; the container was killed."""

    reason = "PostStartHookError"
