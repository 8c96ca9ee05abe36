"""Jobs as the job controller has them, StatefulSets in their order: a fake clock, and pods that end when told."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubelet_pods import NODE, pods
from msgspec.structs import replace

from cricket.kubelet.agent_choice import Choice, chosen, goes_later
from cricket.kubelet.events import Events
from cricket.kubelet.job_decide import JobState, Seen
from cricket.kubelet.job_memory import Jobs
from cricket.kubelet.loop_records import SECOND
from cricket.kubelet.manifest.desired import Desired
from cricket.kubelet.manifest.expand import attempt
from cricket.kubelet.model.pod import Pod

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  SPEC
  template: {spec: {restartPolicy: POLICY, containers: [{name: a, image: i}]}}
"""
SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  replicas: REPLICAS
  podManagementPolicy: MANAGEMENT
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: i}]}}
"""


class Cluster:
    """Pods begin as soon as they are wanted, and end when the test says so."""

    def __init__(self, text: str) -> None:
        self.made, self.now = pods(text)[0], 1000 * SECOND
        self.seen: dict[str, Seen] = {}
        self.names: dict[str, str] = {}
        self.states: dict[str, JobState] = {}
        self.choice = Choice()
        self.look()

    def look(self, seconds: float = 0) -> list[str]:
        """The names of the pods that run, after so much time."""
        self.now += int(seconds * SECOND)
        for _ in range(2):  # what begins may change what is wanted
            source = Desired("x", pods=tuple(self.made))
            self.choice = chosen([source], self.seen, self._state, self.now, self._again)
            self.states |= self.choice.jobs
            wanted = {pod.metadata.uid: pod for pod in self.choice.pods}
            self.seen = {uid: of for uid, of in self.seen.items() if uid in wanted}
            for uid, pod in wanted.items():
                self.names[uid] = pod.metadata.name
                self.seen.setdefault(uid, Seen("Running", started_at=self.now))
        return sorted(self.names[uid] for uid, of in self.seen.items() if of.phase == "Running")

    def _state(self, key: str) -> JobState:
        return self.states.get(key, JobState())

    def _again(self, pod: Pod, number: int) -> Pod:
        return attempt(pod, number, NODE.name)

    def end(self, name: str, phase: str) -> list[str]:
        uid = next(uid for uid, known in self.names.items() if known == name and uid in self.seen)
        self.seen[uid] = replace(self.seen[uid], phase=phase, ended_at=self.now)
        return self.look()

    def change(self, name: str, **fields: object) -> list[str]:
        uid = next(uid for uid, known in self.names.items() if known == name)
        self.seen[uid] = replace(self.seen[uid], **fields)  # type: ignore[arg-type]  # fields of Seen
        return self.look()

    @property
    def state(self) -> JobState:
        return self.states["default/j"]


def job(spec: str, policy: str = "Never") -> Cluster:
    return Cluster(JOB.replace("SPEC", spec).replace("POLICY", policy))


def test_so_many_at_a_time_until_all_have_succeeded() -> None:
    work = job("completions: 3\n  parallelism: 2")
    assert work.look() == ["j-0", "j-1"]
    assert work.end("j-0", "Succeeded") == ["j-1", "j-2"]
    work.end("j-1", "Succeeded")
    assert not work.state.condition
    assert work.end("j-2", "Succeeded") == []
    assert (work.state.condition, work.state.reason) == ("Complete", "CompletionsReached")
    assert len(work.seen) == 3, "they stay to be looked at"


def test_what_failed_is_replaced_after_a_wait() -> None:
    work = job("completions: 1")
    assert work.end("j-0", "Failed") == []
    assert work.choice.wake_at == work.now + 10 * SECOND
    (second,) = work.look(10)
    assert second.startswith("j-0-") and len(work.seen) == 2
    assert work.end(second, "Failed") == [] and work.look(19) == []
    (third,) = work.look(1)
    assert third not in ("j-0", second)
    work.end(third, "Succeeded")
    assert work.state.condition == "Complete"


def test_too_many_failures_end_the_rest() -> None:
    work = job("completions: 3\n  parallelism: 3\n  backoffLimit: 1")
    work.end("j-0", "Failed")
    assert work.state.condition == ""
    assert work.end("j-1", "Failed") == []
    assert (work.state.condition, work.state.reason) == ("Failed", "BackoffLimitExceeded")
    assert work.look(10_000) == [] and len(work.seen) == 2


def test_restarts_count_where_containers_are_restarted() -> None:
    work = job("backoffLimit: 2", "OnFailure")
    assert work.change("j-0", restarts=1) == ["j-0"]
    assert work.change("j-0", restarts=2) == []
    assert work.state.reason == "BackoffLimitExceeded"
    work = job("backoffLimit: 0", "OnFailure")
    assert work.look() == ["j-0"] and work.change("j-0", restarts=1) == []


def test_a_deadline_is_the_jobs() -> None:
    work = job("completions: 2\n  activeDeadlineSeconds: 30")
    assert work.choice.wake_at == work.now + 30 * SECOND
    work.look(20)
    assert work.end("j-0", "Succeeded") == ["j-1"]
    assert work.look(10) == []
    assert (work.state.reason, work.state.message) == (
        "DeadlineExceeded",
        "Job was active longer than specified deadline",
    )


def test_a_work_queue_is_done_when_one_says_so() -> None:
    work = job("parallelism: 3")
    assert work.look() == ["j-0", "j-1", "j-2"]
    assert work.end("j-1", "Succeeded") == ["j-0", "j-2"]
    assert work.end("j-0", "Failed") == ["j-2"] and work.look(100) == ["j-2"]
    work.end("j-2", "Succeeded")
    assert work.state.condition == "Complete"


def test_pods_go_after_their_time_and_do_not_come_back() -> None:
    work = job("ttlSecondsAfterFinished: 60")
    work.end("j-0", "Succeeded")
    assert work.choice.wake_at == work.now + 60 * SECOND and len(work.seen) == 1
    assert work.look(60) == [] and not work.seen
    assert work.look(1000) == []


def test_parallelism_0_pauses() -> None:
    assert job("parallelism: 0\n  completions: 2").look() == []


def test_another_template_is_another_job() -> None:
    work = job("completions: 1")
    work.end("j-0", "Succeeded")
    work.made = pods(JOB.replace("SPEC", "completions: 1").replace("POLICY", "OnFailure"))[0]
    assert work.look() == ["j-0"] and work.state.condition == ""


def test_memory(tmp_path: Path) -> None:
    node, events = replace(NODE, root=str(tmp_path)), Events()
    jobs = Jobs(node, events)
    assert jobs.state("d/j") == JobState()
    over = JobState("u", 1, 2, "Failed", "BackoffLimitExceeded", "no")
    jobs.keep("d/j", over)
    jobs.keep("d/j", over)
    (event,) = events.all()
    assert (event.kind, event.pod, event.reason, event.type) == ("Job", "d/j", "BackoffLimitExceeded", "Warning")
    again = Jobs(node, Events())
    assert again.state("d/j") == over
    assert again.failures() == ["job d/j: BackoffLimitExceeded: no"]
    again.forget_others(set())
    assert not list(tmp_path.iterdir()) and again.state("d/j") == JobState()


def stateful(replicas: int, management: str = "OrderedReady") -> Cluster:
    return Cluster(SET.replace("REPLICAS", str(replicas)).replace("MANAGEMENT", management))


def test_each_waits_for_those_before_it() -> None:
    some = stateful(3)
    assert some.look() == ["s-0"]
    assert some.change("s-0", ready=True) == ["s-0", "s-1"]
    assert some.change("s-1", ready=True) == ["s-0", "s-1", "s-2"]
    assert some.change("s-0", ready=False) == ["s-0", "s-1", "s-2"], "what is there stays"
    assert stateful(3, "Parallel").look() == ["s-0", "s-1", "s-2"]


@pytest.mark.parametrize(("index", "wanted", "waits"), [(2, 1, False), (1, 1, True), (0, 0, False)])
def test_the_last_goes_first(index: int, wanted: int, waits: bool) -> None:
    """Of three that are there; with none wanted any more, all go at once."""
    there = pods(SET.replace("REPLICAS", "3").replace("MANAGEMENT", "OrderedReady"))[0]
    assert goes_later(there[index], there, there[:wanted]) is waits
