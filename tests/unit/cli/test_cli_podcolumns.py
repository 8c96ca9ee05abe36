"""From a pod's status to what `kubectl get pods` would show of it."""

from __future__ import annotations

from typing import Any

import pytest

from cricket.cli.podcolumns import columns

Json = dict[str, Any]
RUNNING: Json = {"running": {}}


def waits(reason: str = "") -> Json:
    return {"waiting": {"reason": reason} if reason else {}}


def ended(code: int, reason: str = "", **more: Any) -> Json:
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


def container(state: Json, name: str = "a", restarts: int = 0, ready: bool | None = None, last: str = "") -> Json:
    ready = "running" in state if ready is None else ready
    before = {"terminated": {"exitCode": 1, "finishedAt": last}} if last else {}
    started = "running" in state
    return {
        "name": name, "state": state, "lastState": before, "ready": ready, "started": started, "restartCount": restarts
    }  # fmt: skip


def pod(
    *mains: Json,
    init: tuple[Json, ...] = (),
    phase: str = "Running",
    conditions: str = "",
    sidecars: str = "",
    reason: str = "",
    deleted: bool = False,
) -> Json:
    inits = [{"name": c["name"], **({"restartPolicy": "Always"} if c["name"] in sidecars else {})} for c in init]
    status = {"phase": phase, "containerStatuses": list(mains), "initContainerStatuses": list(init)}
    status["conditions"] = [{"type": kind, "status": "True"} for kind in conditions.split()]
    return {
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {},
        "spec": {"initContainers": inits, "containers": [{"name": c["name"]} for c in mains]},
        "status": {**status, **({"reason": reason} if reason else {})},
    }


WAITING = container(waits("PodInitializing"))
TABLE = {
    "nothing known": (pod(phase="Pending"), "0/0", "Pending", 0),
    "creating": (pod(container(waits("ContainerCreating")), phase="Pending"), "0/1", "ContainerCreating", 0),
    "running": (pod(container(RUNNING), conditions="Ready"), "1/1", "Running", 0),
    "not ready": (pod(container(RUNNING, ready=False)), "0/1", "Running", 0),
    "crash loop": (pod(container(waits("CrashLoopBackOff"), restarts=3)), "0/1", "CrashLoopBackOff", 3),
    "image": (pod(container(waits("ImagePullBackOff")), container(RUNNING)), "1/2", "ImagePullBackOff", 0),
    "first of two": (pod(container(waits("ErrImagePull")), container(waits("CreateContainerError"))), "0/2",
                     "ErrImagePull", 0),
    "completed": (pod(container(ended(0, "Completed")), phase="Succeeded"), "0/1", "Completed", 0),
    "error": (pod(container(ended(1, "Error")), phase="Failed"), "0/1", "Error", 0),
    "out of memory": (pod(container(ended(137, "OOMKilled")), phase="Failed"), "0/1", "OOMKilled", 0),
    "no reason": (pod(container(ended(3)), phase="Failed"), "0/1", "ExitCode:3", 0),
    "signal": (pod(container(ended(0, signal=9)), phase="Failed"), "0/1", "Signal:9", 0),
    "one is done": (pod(container(ended(0, "Completed")), container(RUNNING), conditions="Ready"), "1/2", "Running", 0),
    "one is done, not ready": (pod(container(ended(0, "Completed")), container(RUNNING)), "1/2", "NotReady", 0),
    "done and failed": (pod(container(ended(0, "Completed")), container(ended(2, "Error"))), "0/2", "Error", 0),
    "deadline": (pod(container(RUNNING), phase="Failed", reason="DeadlineExceeded"), "1/1", "DeadlineExceeded", 0),
    "deadline, ended": (pod(container(ended(9, "Error")), reason="DeadlineExceeded"), "0/1", "Error", 0),
    "terminating": (pod(container(RUNNING), deleted=True), "1/1", "Terminating", 0),
    "deleted, over": (pod(container(ended(0, "Completed")), phase="Succeeded", deleted=True), "0/1", "Completed", 0),
    "lost node": (pod(container(RUNNING), reason="NodeLost", deleted=True), "1/1", "Unknown", 0),
    "init runs": (pod(WAITING, init=(container(RUNNING, "i"), WAITING), phase="Pending"), "0/1", "Init:0/2", 0),
    "second init": (pod(WAITING, init=(container(ended(0, "Completed"), "i"), container(RUNNING, "k"))), "0/1",
                    "Init:1/2", 0),
    "init failed": (pod(WAITING, init=(container(ended(1, "Error"), "i"),), phase="Failed"), "0/1", "Init:Error", 0),
    "init code": (pod(WAITING, init=(container(ended(7), "i"),)), "0/1", "Init:ExitCode:7", 0),
    "init signal": (pod(WAITING, init=(container(ended(137, signal=9), "i"),)), "0/1", "Init:Signal:9", 0),
    "init loops": (pod(WAITING, init=(container(waits("CrashLoopBackOff"), "i", restarts=4),)), "0/1",
                   "Init:CrashLoopBackOff", 4),
    "init image": (pod(WAITING, init=(container(waits("ErrImagePull"), "i"),)), "0/1", "Init:ErrImagePull", 0),
    "initialized": (pod(WAITING, init=(container(ended(0, "Completed"), "i"),), phase="Pending"), "0/1",
                    "PodInitializing", 0),
    "sidecar": (pod(container(RUNNING), init=(container(RUNNING, "side"),), sidecars="side"), "2/2", "Running", 0),
    "sidecar failed after the pod was initialized": (
        pod(container(ended(0, "Completed")), init=(container(ended(137, "Error"), "side"),), sidecars="side",
            phase="Succeeded", conditions="Initialized"),
        "0/2", "Completed", 0),
    "sidecar loops, main runs": (
        pod(container(RUNNING), init=(container(waits("CrashLoopBackOff"), "side", restarts=2),), sidecars="side",
            conditions="Initialized"),
        "1/2", "Init:CrashLoopBackOff", 2),
    "restarts of done inits do not count": (
        pod(container(RUNNING, restarts=1), init=(container(ended(0, "Completed"), "i", restarts=5),),
            conditions="Initialized"),
        "1/1", "Running", 1),
}  # fmt: skip


@pytest.mark.parametrize(("shown", "ready", "status", "restarts"), TABLE.values(), ids=TABLE.keys())
def test_columns(shown: Json, ready: str, status: str, restarts: int) -> None:
    assert columns(shown)[:3] == (ready, status, restarts)


def test_last_restart() -> None:
    times = [container(RUNNING, last="2026-01-01T00:00:01Z"), container(RUNNING, last="2026-01-01T00:00:03Z")]
    assert columns(pod(*times, container(RUNNING))).last_restart == "2026-01-01T00:00:03Z"
    assert columns(pod(container(RUNNING))).last_restart == ""
