"""Kill the daemon after its Nth effect, for every N: the loop, and what must hold after each death."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from harness.cri import CriError
from harness.daemon import DaemonEnded
from harness.leaks import describe
from harness.node import Node, until

_ENDLESS = 10**9
_LISTED = {0, 1, 2}
"""CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED; a container is never shown as UNKNOWN after a restart."""


class Scenario(Protocol):
    """One verb, with what comes before and after. Made anew for every death."""

    def prepare(self) -> None:
        """What the verb needs, by a daemon that lives."""

    def act(self) -> None:
        """The verb. It may fail with UNAVAILABLE, as the daemon dies."""

    def retry(self) -> None:
        """What the kubelet does then: the same request. Must succeed; checks the outcome."""

    def clean_up(self) -> None:
        """Remove everything that was made."""


class Effects:
    """The countdown of a daemon (see cricket.kernel.effects)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._left, self._log = directory / "left", directory / "log"

    @property
    def env(self) -> dict[str, str]:
        """For the daemon."""
        return {"CRICKET_EFFECTS": str(self.directory)}

    def arm(self, number: int = _ENDLESS) -> None:
        """Die at the effect `number` from now."""
        self._log.write_text("")
        self._left.write_text(str(number))

    def arm_at(self, name: str) -> None:
        """Die at the first effect of this name."""
        self._log.write_text("")
        self._left.write_text(f"-1 {name}")

    def disarm(self) -> None:
        """Do not die any more."""
        self._left.write_text("0")

    def names(self) -> list[str]:
        """The effects since `arm`."""
        return self._log.read_text().splitlines()

    def settled(self) -> list[str]:
        """The effects since `arm`, when no more come: some follow after the answer."""
        names = self.names()
        quiet = time.monotonic()
        while time.monotonic() - quiet < 0.3:
            time.sleep(0.02)
            if (now := self.names()) != names:
                names, quiet = now, time.monotonic()
        return names


class Faults:
    """A node whose daemon is killed again and again; a pod beside the others must not notice any of it."""

    def __init__(self, node: Node, effects: Effects, image: str) -> None:
        self.node, self.effects, self.image = node, effects, image
        self.deaths: list[str] = []
        self._bystander()

    @classmethod
    @contextlib.contextmanager
    def on(cls, node: Node, directory: Path, image: str) -> Iterator[Faults]:
        """Take over a node that runs."""
        effects = Effects(directory / "effects")
        node.daemon.stop()
        node.daemon.start(**effects.env)
        node.pull(image)
        yield cls(node, effects, image)

    def _bystander(self) -> None:
        config = self.node.pod("bystander")
        self.node.leaks.spared_pod = "bystander"
        self._pod = self.node.run_pod(config)
        script = "i=0; while true; do echo $i; i=$((i+1)); sleep 0.05; done"
        self._container = self.node.run(self._pod, self.node.container(self.image, "sh", "-c", script), config)
        self._base = self._kinds()

    def _kinds(self) -> dict[str, set[str]]:
        left = self.node.left(images=True)
        left["firewall rule"] = self.node.leaks.rules()
        return {kind: {_stable(kind, name) for name in names} for kind, names in left.items()}

    def run(self, make: Callable[[], Scenario], *, limit: int = 200) -> None:
        """Count the effects of the verb, then die after each of them in turn."""
        names = self._rehearse(make())
        assert 0 < len(names) < limit, names
        for number in range(1, len(names) + 1):
            self._death(make(), number)
        assert len(self.deaths) >= len(names) - 2, f"of the effects {names} only {self.deaths} were met"

    def run_twice(self, make: Callable[[], Scenario], first: str) -> None:
        """Die after the effect named `first`, and then after each effect of the recovery in turn."""
        number = 0
        while number < 50:
            number += 1
            if not self._second_death(make(), first, number):
                break
        assert 1 < number < 50

    def _second_death(self, scenario: Scenario, first: str, number: int) -> bool:
        """Whether the recovery had an effect of this number."""
        scenario.prepare()
        self.effects.arm_at(first)
        assert not self._act(scenario), f"the verb has no effect {first!r} but {self.effects.names()}"
        self.effects.arm(number)
        survived = self._starts()
        where = f"{first}, then in recovery after effect {number}: {self.effects.names()}"
        self.effects.disarm()
        if not survived:
            self.deaths.append(where)
            self.node.daemon.start(**self.effects.env)
        with self._told(f"killed after {where}"):
            self._check_records()
            scenario.retry()
            scenario.clean_up()
            self._check_leaks()
        return not survived

    def _starts(self) -> bool:
        """Whether the daemon survives its start and what it does in the background afterwards."""
        try:
            self.node.daemon.start(**self.effects.env)
        except DaemonEnded as ended:
            assert ended.code == -9, ended
            return False
        self.effects.settled()
        if self.node.daemon.running:
            return True
        assert self.node.daemon.wait() == -9
        return False

    def _rehearse(self, scenario: Scenario) -> list[str]:
        with self._told("without a death"):
            scenario.prepare()
            self.effects.arm()
            scenario.act()
            names = self.effects.settled()
            self.effects.disarm()
            scenario.retry()
            scenario.clean_up()
            self._check_leaks()
        return names

    def _death(self, scenario: Scenario, number: int) -> None:
        scenario.prepare()
        self.effects.arm(number)
        survived = self._act(scenario)
        where = f"effect {number} ({self.effects.names()[-1]})"
        self.effects.disarm()
        if not survived:
            self.deaths.append(where)
            self.node.daemon.start(**self.effects.env)
        with self._told(f"killed after {where}" if not survived else f"alive after {where}"):
            self._check_records()
            scenario.retry()
            self._check_records()
            scenario.clean_up()
            self._check_leaks()

    def _act(self, scenario: Scenario) -> bool:
        """Call the verb; whether the daemon has survived: some effects come in another order, or after the answer."""
        try:
            scenario.act()
        except CriError as error:
            if error.code != "UNAVAILABLE":
                raise
        deadline = time.monotonic() + 0.5
        while self.node.daemon.running and time.monotonic() < deadline:
            time.sleep(0.005)
        if self.node.daemon.running:
            return True
        assert self.node.daemon.wait() == -9
        return False

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Failures say what had happened before."""
        try:
            yield
        except (CriError, AssertionError) as error:
            raise AssertionError(f"{what}: {error}\n--- log\n{self.node.daemon.log()}") from error

    def _check_records(self) -> None:
        """Lists and every status answer; nothing half-made shows; the bystander runs and its log grows."""
        cri = self.node.cri
        for item in cri.call("ListContainers").containers:
            assert item.state in _LISTED, f"container {item.id} is shown in state {item.state}"
            with _unless_removed():
                cri.call("ContainerStatus", container_id=item.id, verbose=True)
        for item in cri.call("ListPodSandbox").items:
            with _unless_removed():
                cri.call("PodSandboxStatus", pod_sandbox_id=item.id, verbose=True)
        cri.call("ListContainerStats")
        cri.call("ListPodSandboxStats")
        assert self.node.state_of(self._container) == "CONTAINER_RUNNING", "the bystander does not run any more"
        assert self.node.exec(self._container, "true").exit_code == 0
        lines = len(self.node.log_of(self._container))
        until(lambda: len(self.node.log_of(self._container)) > lines, "the bystander's log has stopped", 5)

    def _check_leaks(self, timeout: float = 5.0) -> None:
        """Nothing is there but what the bystander and the image need."""
        deadline = time.monotonic() + timeout
        while extra := self._extra():
            assert time.monotonic() < deadline, f"left behind:\n{describe(extra)}"
            time.sleep(0.02)
        assert (broken := self.node.leaks.warm_troubles()) == [], broken

    def _extra(self) -> dict[str, list[str]]:
        now = self._kinds()
        return {kind: sorted(more) for kind, names in now.items() if (more := names - self._base.get(kind, set()))}


@contextlib.contextmanager
def _unless_removed() -> Iterator[None]:
    """Recovery goes on in the background: what was listed may be gone by now."""
    try:
        yield
    except CriError as error:
        if error.code != "NOT_FOUND":
            raise


def _stable(kind: str, name: str) -> str:
    """What stays the same of a thing while nothing happens to it."""
    if kind == "record":
        return " ".join(name.split(" ", 2)[:2])
    return name
