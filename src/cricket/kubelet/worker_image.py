"""Images for containers: pull policies, secrets, and the wait after a failed pull (images/image_manager.go)."""

from __future__ import annotations

import time
from typing import Any

from cricket.client.errors import RemoteError
from cricket.kubelet import backoff, image_name
from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.pull_auth import credentials
from cricket.kubelet.worker_failure import ErrImageNeverPull, ErrImagePull, ImagePullBackOff, InvalidImageName
from cricket.kubelet.worker_parts import Parts


async def provide(
    parts: Parts, pod: Pod, image: str, policy: str, box: Any, *, container: str, handler: str = ""
) -> tuple[Any, str]:
    """The Image of ImageStatus and the reference for the container's config. `box` is the PodSandboxConfig. Raises
    ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName."""
    if wrong := image_name.mistake(image):
        parts.events.add(pod, "InspectFailed", wrong, container=container, warning=True)
        parts.events.add(pod, "Failed", "Error: InvalidImageName", container=container, warning=True)
        raise InvalidImageName(wrong)
    spec = {"image": image, "user_specified_image": image, "runtime_handler": handler}
    present = await _status(parts, spec)
    if present is not None and policy != "Always":
        text = f'Container image "{image}" already present on machine and can be accessed by the pod'
        parts.events.add(pod, "Pulled", text, container=container)
        return present, present.id
    if policy == "Never":
        text = f'Container image "{image}" is not present with pull policy of Never'
        parts.events.add(pod, "ErrImageNeverPull", text, container=container, warning=True)
        parts.events.add(pod, "Failed", "Error: ErrImageNeverPull", container=container, warning=True)
        raise ErrImageNeverPull(text)
    _held(parts, pod, image, container)
    began = time.monotonic()
    parts.events.add(pod, "Pulling", f'Pulling image "{image}"', container=container)
    parts.pulling(image, True)
    try:
        reference = await _pull(parts, pod, spec, box)
    except RemoteError as error:
        now = time.time_ns()
        key = _key(pod, image)
        parts.pulls[key] = backoff.after(parts.pulls, key, now, now, parts.settings.limits)
        parts.pull_failed[key] = now, error.what
        text = f'Failed to pull image "{image}": {error.what}'
        parts.events.add(pod, "Failed", text, container=container, warning=True)
        parts.events.add(pod, "Failed", "Error: ErrImagePull", container=container, warning=True)
        raise ErrImagePull(error.what) from None
    finally:
        parts.pulling(image, False)
    present = await _status(parts, {**spec, "image": reference}) or await _status(parts, spec)
    if present is None:
        raise ErrImagePull(f'the image "{image}" was pulled and is not there')
    took = f"{time.monotonic() - began:.3g}s"
    text = (
        f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: {present.size} bytes.'
    )
    parts.events.add(pod, "Pulled", text, container=container)
    return present, present.id


def _key(pod: Pod, image: str) -> str:
    return f"{pod.metadata.uid}/{image}"


def _held(parts: Parts, pod: Pod, image: str, container: str) -> None:
    """Raise while the back-off of the last failure lasts."""
    key = _key(pod, image)
    since, why = parts.pull_failed.get(key, (0, ""))
    over = backoff.until(parts.pulls, key, since, time.time_ns(), parts.settings.limits)
    if over:
        text = f'Back-off pulling image "{image}"'
        parts.events.add(pod, "BackOff", text, container=container)
        parts.events.add(pod, "Failed", "Error: ImagePullBackOff", container=container, warning=True)
        raise ImagePullBackOff(f"{text}: ErrImagePull: {why}", over)


async def _status(parts: Parts, spec: dict[str, str]) -> Any:
    answer = await parts.cri.call("ImageStatus", image=spec)
    return answer.image if answer.HasField("image") else None


async def _pull(parts: Parts, pod: Pod, spec: dict[str, str], box: Any) -> str:
    """With each of the pod's credentials until one is accepted; without any when there are none."""
    tries = credentials(pod, spec["image"], parts.objects()) or [None]
    for auth in tries:
        try:
            answer = await parts.cri.call("PullImage", limit=None, image=spec, auth=auth, sandbox_config=box)
            return str(answer.image_ref)
        except RemoteError:
            if auth is tries[-1]:
                raise
    raise AssertionError("there is a last one")


def retry_at(error: Exception, now: int, retry: float) -> int:
    """When a start that failed so is tried again (Unix ns)."""
    if isinstance(error, ImagePullBackOff):
        return error.over
    if isinstance(error, ErrImagePull):
        return now + 2 * SECOND  # long enough for people to see it; then the back-off is told
    return now + int(retry * SECOND)
