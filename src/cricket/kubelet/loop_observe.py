"""What the runtime has of ours: lists, compared with the last ones; details are asked for what has changed."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from cricket.client.errors import RemoteError
from cricket.errors import Code
from cricket.kubelet.loop_cri import Cri
from cricket.kubelet.loop_records import ContainerRecord, Records, SandboxRecord, State, records
from cricket.kubelet.model.pod import Pod

AGENT = "cricket.dev/agent"
"""Label of everything that an agent made, with the agent's name: what lacks it is none of its business."""
MANIFEST, STARTED, RESOURCES = "cricket.dev/pod", "cricket.dev/pod-started", "cricket.dev/resources"
"""Annotations: the pod as JSON and when it began (Unix ns) on sandboxes, resources as JSON on containers."""
UID, NAME, POD_NAME, NAMESPACE = (
    "io.kubernetes.pod.uid",
    "io.kubernetes.container.name",
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
)
"""The kubelet's labels, which tools know."""


class Observer:
    """The runtime's sandboxes and containers of one agent, by the pods' uids."""

    def __init__(self, cri: Cri, agent: str) -> None:
        self._cri, self._agent = cri, agent
        self._boxes: dict[str, tuple[int, SandboxRecord]] = {}
        self._containers: dict[str, tuple[int, ContainerRecord]] = {}
        self._pods: dict[str, Records] = {}
        self._annotations: dict[str, dict[str, str]] = {}
        self._looks, self._under_way = itertools.count(1), set[int]()
        self._seen: dict[str, int] = {}

    def records(self, uid: str) -> Records:
        """What was seen last."""
        return self._pods.get(uid, Records())

    def uids(self) -> set[str]:
        """The pods that have anything."""
        return set(self._pods)

    def manifest(self, uid: str) -> Pod | None:
        """The pod as its sandbox remembers it; None when that says nothing that can be read."""
        try:
            return msgspec.json.decode(self._annotations[uid][MANIFEST].encode(), type=Pod)
        except (KeyError, msgspec.MsgspecError):
            return None

    def started(self, uid: str) -> int:
        """When the pod began (Unix ns); 0: not known."""
        text = self._annotations.get(uid, {}).get(STARTED, "")
        return int(text) if text.isdecimal() else 0

    def gone(self, uid: str) -> None:
        """A pod was removed, whatever a look that began before says."""
        self._seen[uid] = next(self._looks)
        self._pods.pop(uid, None)

    async def relist(self, uid: str = "") -> set[str]:
        """Look at all pods, or at one; returns the uids of those that have changed. Raises RemoteError.

        Several looks may be under way. Of a pod, the one counts that began last: another may have seen it before what
        its worker has just done, and would let the worker do it again.
        """
        look = next(self._looks)
        self._under_way.add(look)
        try:
            return await self._look(look, uid)
        finally:
            self._under_way.discard(look)

    async def _look(self, look: int, uid: str) -> set[str]:
        selector = {AGENT: self._agent} | ({UID: uid} if uid else {})
        boxes = (await self._cri.call("ListPodSandbox", filter={"label_selector": selector})).items
        containers = (await self._cri.call("ListContainers", filter={"label_selector": selector})).containers
        box_ids = {box.id: box for box in boxes}
        made: dict[str, tuple[list[SandboxRecord], list[ContainerRecord]]] = {}
        for box in box_ids.values():
            self._annotations[box.metadata.uid] = dict(box.annotations)
            made.setdefault(box.metadata.uid, ([], []))[0].append(await self._box(box))
        for container in containers:
            record = await self._container(container)
            if record is not None:
                made.setdefault(container.labels.get(UID, ""), ([], []))[1].append(record)
        pods = {of: records(*parts) for of, parts in made.items()}
        looked = {of for of in ({uid} if uid else {*self._pods, *pods}) if self._seen.get(of, 0) < look}
        changed = {of for of in looked if self._pods.get(of, Records()) != pods.get(of, Records())}
        for of in looked:
            self._seen[of] = look
            if of in pods:
                self._pods[of] = pods[of]
            else:
                self._pods.pop(of, None)
        if not uid:
            self._forget(set(box_ids), {container.id for container in containers})
        return changed

    def _forget(self, boxes: set[str], containers: set[str]) -> None:
        self._boxes = {key: value for key, value in self._boxes.items() if key in boxes}
        self._containers = {key: value for key, value in self._containers.items() if key in containers}
        self._annotations = {key: value for key, value in self._annotations.items() if key in self._pods}
        oldest = min(self._under_way)
        self._seen = {key: value for key, value in self._seen.items() if key in self._pods or value > oldest}

    async def _box(self, box: Any) -> SandboxRecord:
        old = self._boxes.get(box.id)
        if old is not None and old[0] == box.state:
            return old[1]
        ips: tuple[str, ...] = ()
        if box.state == 0:
            try:
                network = (await self._cri.call("PodSandboxStatus", pod_sandbox_id=box.id)).status.network
                ips = tuple(ip for ip in (network.ip, *(more.ip for more in network.additional_ips)) if ip)
            except RemoteError as error:
                if error.code is not Code.NOT_FOUND:
                    raise
        record = SandboxRecord(box.id, box.state == 0, box.metadata.attempt, box.created_at, ips)
        self._boxes[box.id] = box.state, record
        return record

    async def _container(self, item: Any) -> ContainerRecord | None:
        old = self._containers.get(item.id)
        if old is not None and old[0] == item.state:
            return old[1]
        try:
            status = (await self._cri.call("ContainerStatus", container_id=item.id)).status
        except RemoteError as error:
            if error.code is Code.NOT_FOUND:
                return None  # removed in between
            raise
        record = container_record(status, item.pod_sandbox_id)
        self._containers[item.id] = status.state, record
        return record


def container_record(status: Any, sandbox_id: str) -> ContainerRecord:
    """A ContainerStatus as a record."""
    path = status.annotations.get("io.kubernetes.container.terminationMessagePath", "/dev/termination-log")
    log = next((mount.host_path for mount in status.mounts if mount.container_path == path), "")
    return ContainerRecord(
        id=status.id,
        name=status.metadata.name,
        sandbox_id=sandbox_id,
        attempt=status.metadata.attempt,
        state=State(status.state),
        created_at=status.created_at,
        started_at=status.started_at,
        finished_at=status.finished_at,
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
        image=status.image.user_specified_image or status.image.image,
        image_id=status.image_ref or status.image_id,
        log_path=status.log_path,
        termination_log=log,
        resources=status.annotations.get(RESOURCES, ""),
    )
