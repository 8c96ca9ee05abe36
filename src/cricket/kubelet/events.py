"""What happened to pods, in the kubelet's words: a bounded list, in which the same thing counts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.model.pod import Pod

MOST = 1000


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that happened, `count` times from `first` to `last` (Unix ns). `pod` is namespace/name, `field` like
    spec.containers{web}, `type` Normal or Warning. Of another `kind` than Pod, `pod` is that object's."""

    pod: str
    uid: str
    field: str
    type: str
    reason: str
    message: str
    first: int
    last: int
    count: int = 1
    kind: str = "Pod"


class Events:
    """The last MOST events; what happens again moves to the end and counts."""

    def __init__(self, clock: Callable[[], int] = time.time_ns, most: int = MOST) -> None:
        self._clock, self._most = clock, most
        self._events: OrderedDict[tuple[str, ...], Event] = OrderedDict()
        self.listener: Callable[[Event], None] = lambda event: None

    def add(self, pod: Pod, reason: str, message: str, *, container: str = "", warning: bool = False) -> None:
        """Something happened to a pod or to one of its containers."""
        field = ""
        if container:
            init = any(container == init.name for init in pod.spec.init_containers)
            field = f"spec.{'initContainers' if init else 'containers'}{{{container}}}"
        now = self._clock()
        told = Event(pod.key, pod.metadata.uid, field, _type(warning), reason, message, now, now)
        self._tell(told)

    def add_job(self, key: str, uid: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Something happened to a Job; `key` is namespace/name."""
        now = self._clock()
        self._tell(Event(key, uid, "", _type(warning), reason, message, now, now, kind="Job"))

    def _tell(self, event: Event) -> None:
        key = (event.uid, event.field, event.type, event.reason, event.message)
        old = self._events.pop(key, None)
        if old is not None:
            event = msgspec.structs.replace(event, first=old.first, count=old.count + 1)
        self._events[key] = event
        if len(self._events) > self._most:
            self._events.popitem(last=False)
        self.listener(event)

    def all(self) -> list[Event]:
        """Oldest first."""
        return list(self._events.values())

    def of(self, uid: str) -> list[Event]:
        """Those of a pod."""
        return [event for event in self._events.values() if event.uid == uid]


def _type(warning: bool) -> str:
    return "Warning" if warning else "Normal"


def age_of(event: Event, now: int) -> float:
    """Seconds since it happened last."""
    return (now - event.last) / SECOND
