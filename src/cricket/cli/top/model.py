"""What is shown: one moment of a node, its pods and their containers, as plain values."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod or container uses; None: the runtime does not tell. CPU in percent of one CPU, sizes in bytes,
    `received` and `sent` in bytes per second, their totals since the pod began. A limit of 0 is none."""

    cpu: float | None = None
    cpu_limit: float = 0.0
    memory: int | None = None
    memory_limit: int = 0
    received: float | None = None
    sent: float | None = None
    received_total: int | None = None
    sent_total: int | None = None
    disk: int | None = None
    inodes: int | None = None
    processes: int | None = None

    @property
    def memory_share(self) -> float | None:
        """Memory as a part of its limit, 0 to 1; None without a limit."""
        return self.memory / self.memory_limit if self.memory is not None and self.memory_limit else None

    @property
    def cpu_share(self) -> float | None:
        """CPU as a part of its limit; None without a limit."""
        return self.cpu / self.cpu_limit if self.cpu is not None and self.cpu_limit else None


class Moment(msgspec.Struct, frozen=True, order=True):
    """Something that happened at `time` (Unix nanoseconds); `mood` is the name of a style."""

    time: int
    text: str
    mood: str = ""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a container. `since`: when it started, else was created (Unix nanoseconds)."""

    id: str
    name: str
    state: str
    mood: str = ""
    attempt: int = 0
    since: int = 0
    image: str = ""
    log_path: str = ""
    usage: Usage = Usage()
    moments: tuple[Moment, ...] = ()


class History(msgspec.Struct, frozen=True):
    """The last values of a figure; `total` counts all there ever were, so that groups of them keep their borders."""

    values: tuple[float, ...] = ()
    total: int = 0

    def grown(self, value: float, most: int) -> History:
        """With one more value; at most `most` are kept."""
        return History((*self.values, value)[-most:], self.total + 1)


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox with the newest attempt at each of its containers. `restarts` adds up theirs."""

    id: str
    namespace: str
    name: str
    state: str
    mood: str = ""
    attempt: int = 0
    restarts: int = 0
    since: int = 0
    handler: str = ""
    usage: Usage = Usage()
    containers: tuple[Container, ...] = ()
    moments: tuple[Moment, ...] = ()
    history: History = History()

    @property
    def key(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The machine: percent of each CPU, bytes of memory, load averages, seconds since boot."""

    name: str = ""
    cpus: tuple[float, ...] = ()
    memory: int = 0
    memory_total: int = 0
    load: tuple[float, ...] = ()
    uptime: float = 0.0
    history: History = History()

    @property
    def cpu(self) -> float:
        """Mean of all CPUs, in percent."""
        return sum(self.cpus) / len(self.cpus) if self.cpus else 0.0


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement; `time` in Unix nanoseconds, `took` in seconds."""

    time: int
    runtime: str = ""
    endpoint: str = ""
    took: float = 0.0
    node: Node = Node()
    pods: tuple[Pod, ...] = ()


class LogText(msgspec.Struct, frozen=True, order=True):
    """A line that a container wrote."""

    time: int
    container: str
    stream: str
    text: str
