"""What `cricket run` tells beside the logs, and the lines that change below them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cricket._proto.cricket import side_pb2 as pb
from cricket.cli.podnetwork import configured
from cricket.cli.podpulls import Pulls
from cricket.cli.podscreen import LiveView
from cricket.cli.podstory import Story
from cricket.kubelet.events import Event
from cricket.wire.logline import LogLine


class FakePulls:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begin(self, reference: str) -> None:
        self.told.append(("begin", reference))

    def end(self, reference: str) -> None:
        self.told.append(("end", reference))


def _worker(phase: str = "Running", *, ready: bool = True, ending: bool = False, **status: Any) -> Any:
    ports = [SimpleNamespace(name="http", container_port=8080), SimpleNamespace(name="", container_port=9)]
    spec = SimpleNamespace(containers=[SimpleNamespace(ports=ports)])
    conditions = [{"type": "Ready", "status": str(ready)}]
    known = {"phase": phase, "podIP": "10.1.0.2", "conditions": conditions, **status}
    return SimpleNamespace(pod=SimpleNamespace(key="default/web", spec=spec), status=known, ending=ending)


def _story(*workers: Any, everything: bool = False) -> tuple[Story, Any, FakePulls]:
    agent: Any = SimpleNamespace(workers={str(n): worker for n, worker in enumerate(workers)})
    pulls: Any = FakePulls()
    view = LiveView(timestamps=False, width=7)
    return Story(agent, view, pulls, everything=everything), agent, pulls


def _event(reason: str, message: str, *, warning: bool = False, count: int = 1, field: str = "") -> Event:
    return Event("default/web", "u", field, "Warning" if warning else "Normal", reason, message, 0, 0, count)


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_pulls_are_told_and_images_that_are_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    story, _, pulls = _story()
    story.event(_event("Pulling", 'Pulling image "busybox:1"'))
    story.event(
        _event(
            "Pulled",
            'Successfully pulled image "busybox:1" in 1.5s (1.5s including waiting). Image size: 1030000 bytes.',
        )
    )
    story.event(
        _event("Pulled", 'Container image "busybox:1" already present on machine and can be accessed by the pod')
    )
    assert _said(capsys) == ["cricket | pulling busybox:1", "cricket | pulled busybox:1 in 1.5s (1.03MB)"]
    assert pulls.told == [("begin", "busybox:1"), ("end", "busybox:1"), ("end", "busybox:1")]


def test_a_pull_that_fails_takes_its_lines_away(capsys: pytest.CaptureFixture[str]) -> None:
    story, _, pulls = _story()
    story.event(_event("Failed", 'Failed to pull image "x": no route', warning=True, field="spec.containers{server}"))
    assert pulls.told == [("end", "x")]
    assert _said(capsys) == ['server  | Failed: Failed to pull image "x": no route']


def test_a_warning_that_comes_again_and_again_does_not_fill_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    story, _, _ = _story()
    for count in range(1, 201):
        story.event(_event("BackOff", "Back-off restarting", warning=True, count=count))
    assert [line.partition("restarting")[2] for line in _said(capsys)] == ["", " (x5)", " (x25)", " (x100)", " (x200)"]


def test_other_events_are_told_when_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    for everything, lines in ((False, []), (True, ["cricket | Started: Container started"])):
        _story(everything=everything)[0].event(_event("Started", "Container started"))
        assert _said(capsys) == lines


def test_readiness_and_addresses_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    story, agent, _ = _story(_worker())
    story.look()
    story.look()
    agent.workers["0"] = _worker(ready=False)
    story.look()
    agent.workers["0"] = _worker(podIP="fd00::2")
    story.look()
    agent.workers["0"] = _worker(ready=False, ending=True)
    story.look()
    assert _said(capsys) == [
        "cricket | default/web is ready, port http at 10.1.0.2:8080, at 10.1.0.2:9",
        "cricket | default/web is not ready any more",
        "cricket | default/web is ready, port http at [fd00::2]:8080, at [fd00::2]:9",
    ]


def test_the_end_says_who_failed(capsys: pytest.CaptureFixture[str]) -> None:
    ended = {"name": "job", "state": {"terminated": {"exitCode": 7, "reason": "Error"}}}
    story, _, _ = _story(
        _worker("Succeeded"),
        _worker("Failed", containerStatuses=[ended]),
        _worker("Failed", reason="DeadlineExceeded", message="too late"),
    )
    story.look()
    story.look()
    assert _said(capsys) == [
        "cricket | default/web has succeeded",
        "cricket | default/web has failed: job ended with 7 (Error)",
        "cricket | default/web has failed: DeadlineExceeded, too late",
    ]


def test_the_foot_of_a_terminal_moves_down_with_the_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = LiveView(timestamps=False, width=7)
    view._can = True
    view.show(["one", "two"])
    view.write("server", LogLine(1, "stdout", False, b"hello"))
    view.flush()
    view.show([])
    view.say("over")
    out, err = capsys.readouterr()
    assert out == "server  | hello\n"
    assert err == "one\ntwo\n\x1b[2A\r\x1b[Jone\ntwo\n\x1b[2A\r\x1b[Jcricket | over\n"


def test_without_a_terminal_nothing_moves(capsys: pytest.CaptureFixture[str]) -> None:
    view = LiveView(timestamps=False)
    view.show(["one"])
    view.interrupted()
    assert not view.live and capsys.readouterr() == ("", "")


async def test_progress_of_several_pulls_is_drawn_until_each_has_ended() -> None:
    shown: list[tuple[str, ...]] = []
    view: Any = SimpleNamespace(live=False, columns=lambda: 60, show=lambda lines: shown.append(tuple(lines)))
    pulls = Pulls("unix:///nowhere", view)
    pulls.begin("x")
    assert not pulls._over, "without a terminal nobody asks"
    view.live = True
    for reference in ("x", "y"):
        pulls.begin(reference)
        pulls._told(reference, pb.PullProgressResponse(reference=reference, stage="fetching"))
    pulls.end("x")
    pulls.close()
    assert shown == [("x: fetching",), ("x: fetching", "y: fetching"), ("y: fetching",), ()]


def test_a_network_is_configured_by_any_file_of_cni(tmp_path: Any) -> None:
    assert not configured([str(tmp_path), str(tmp_path / "no")])
    (tmp_path / "README").touch()
    assert not configured([str(tmp_path)])
    (tmp_path / "10-x.conflist").touch()
    assert configured(["/no/where", str(tmp_path)])
