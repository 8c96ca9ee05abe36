"""From counters and lists to what `cricket top` shows."""

from __future__ import annotations

import pytest
from top_samples import MIB, SECOND, container_stats, listed, pod_stats, reading, sandbox

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.top import host
from cricket.cli.top.gauges import Gauges
from cricket.cli.top.host import HostReading
from cricket.cli.top.meter import Meter
from cricket.cli.top.model import History


def test_cpu_is_percent_of_one_core_between_two_readings() -> None:
    gauges = Gauges()
    assert gauges.container(container_stats("c", at=1, cpu=0)).cpu is None
    assert gauges.container(container_stats("c", at=3, cpu=500)).cpu == 25.0


def test_a_runtime_that_measures_less_often_than_it_is_asked_does_not_fall_to_zero() -> None:
    gauges = Gauges()
    for at, cpu in ((1, 0), (3, 500), (3, 500)):
        usage = gauges.container(container_stats("c", at=at, cpu=cpu))
    assert usage.cpu == 25.0


def test_a_counter_that_begins_anew_gives_no_rate() -> None:
    gauges = Gauges()
    assert [gauges.rate(("c", "x"), count, at * SECOND) for count, at in ((100, 1), (5, 2), (10, 3))] == [
        None,
        None,
        5.0,
    ]


def test_before_the_second_reading_the_runtimes_own_figure_is_taken() -> None:
    stats = container_stats("c", at=1, cpu=0)
    stats.cpu.usage_nano_cores.value = 250_000_000
    assert Gauges().container(stats).cpu == 25.0


def test_what_is_asked_for_no_more_is_forgotten() -> None:
    gauges = Gauges()
    gauges.rate(("c", "x"), 1, SECOND)
    gauges.sweep()
    gauges.sweep()
    assert gauges.rate(("c", "x"), 2, 2 * SECOND) is None


def test_a_limit_comes_from_the_status_or_from_what_is_left_of_it() -> None:
    status = pb.ContainerStatus()
    status.resources.linux.memory_limit_in_bytes = 64 * MIB
    status.resources.linux.cpu_quota, status.resources.linux.cpu_period = 20_000, 50_000
    usage = Gauges().container(container_stats("c", at=1, cpu=0, memory=16 * MIB), status)
    assert (usage.memory_limit, usage.memory_share, usage.cpu_limit) == (64 * MIB, 0.25, 40.0)
    told = container_stats("c", at=1, cpu=0, memory=16 * MIB, available=16 * MIB)
    assert Gauges().container(told).memory_share == 0.5
    assert Gauges().container(container_stats("c", at=1, cpu=0, available=0)).memory_share is None


def test_a_pod_without_statistics_is_the_sum_of_its_running_containers() -> None:
    meter, pods = Meter(1.0), [sandbox("p")]
    items = [listed("c1", "p", name="a"), listed("c2", "p", name="b")]
    for at in (1, 2):
        stats = [container_stats("c1", at=at, cpu=100 * at), container_stats("c2", at=at, cpu=200 * at, available=MIB)]
        frame = meter.frame(reading(at, pods, items, container_stats=stats))
    usage = frame.pods[0].usage
    assert usage.cpu == pytest.approx(30.0) and usage.memory == 2 * MIB and usage.disk == 8192
    assert usage.received is None and usage.processes is None
    assert usage.memory_limit == 0, "one of its containers has no limit, so it has none"
    assert frame.pods[0].history.values == (30.0,)


def test_network_rates_come_with_the_time_of_cpu_where_they_have_none() -> None:
    for network_at in (None, 0):
        meter = Meter(1.0)
        for at, received in ((1, 1000), (3, 5000)):
            stats = [pod_stats("p", at=at, cpu=0, received=received, network_at=network_at)]
            frame = meter.frame(reading(at, [sandbox("p")], [], pod_stats=stats))
        usage = frame.pods[0].usage
        assert (usage.received, usage.received_total, usage.processes) == (2000.0, 5000, 3)


def test_only_the_newest_attempt_is_shown_and_restarts_are_added_up() -> None:
    items = [
        listed("c1", "p", attempt=0, state=pb.CONTAINER_EXITED),
        listed("c2", "p", attempt=3, state=pb.CONTAINER_EXITED),
        listed("c3", "p", name="side", attempt=1),
    ]
    status = pb.ContainerStatus(
        metadata={"name": "c", "attempt": 3}, started_at=5 * SECOND, finished_at=9 * SECOND, exit_code=3
    )
    status.log_path = "/log"
    pod = Meter(1.0).frame(reading(10, [sandbox("p")], items, statuses={"c2": status})).pods[0]
    assert [(c.name, c.state, c.attempt) for c in pod.containers] == [("side", "Running", 1), ("c", "Exit 3", 3)]
    assert pod.restarts == 4 and pod.containers[1].log_path == "/log"
    assert [m.text for m in pod.moments] == ["pod created", "c started (restart 3)", "c exited with 3"]


@pytest.mark.parametrize(
    ("state", "reason", "code", "shown"),
    [
        (pb.CONTAINER_RUNNING, "", 0, ("Running", "good")),
        (pb.CONTAINER_CREATED, "", 0, ("Created", "warn")),
        (pb.CONTAINER_UNKNOWN, "", 0, ("Unknown", "bad")),
        (pb.CONTAINER_EXITED, "Completed", 0, ("Exit 0", "dim")),
        (pb.CONTAINER_EXITED, "Error", 1, ("Exit 1", "bad")),
        (pb.CONTAINER_EXITED, "OOMKilled", 137, ("OOMKilled", "bad")),
    ],
)
def test_words_for_states(state: int, reason: str, code: int, shown: tuple[str, str]) -> None:
    status = pb.ContainerStatus(reason=reason, exit_code=code)
    item = listed("c", "p", state=state)
    pod = Meter(1.0).frame(reading(1, [sandbox("p")], [item], statuses={"c": status})).pods[0]
    assert (pod.containers[0].state, pod.containers[0].mood) == shown


def test_histories_end_with_their_pods_and_hold_a_minute() -> None:
    meter = Meter(2.0)
    for at in range(40):
        stats = [pod_stats("p", at=at, cpu=10 * at)]
        frame = meter.frame(reading(at, [sandbox("p")], [], pod_stats=stats))
    assert len(frame.pods[0].history.values) == 30 and frame.pods[0].history.total == 39
    meter.frame(reading(41, [], []))
    assert meter.frame(reading(42, [sandbox("p")], [])).pods[0].history == History()


def test_the_machine_is_read_from_proc() -> None:
    stat = "cpu  9 9 9 9\ncpu0 10 0 10 70 10 0 0 0 5 0\ncpu1 0 0 0 100 0 0 0 0\nintr 5\n"
    before = host.ticks(stat)
    assert before == ((20, 100), (0, 100))
    now = host.ticks("cpu0 60 0 10 120 10 0 0 0 5 0\ncpu1 0 0 0 100 0 0 0 0\n")
    assert host.percents(before, now) == (50.0, 0.0)
    assert host.percents(before, now[:1]) == (0.0,)
    assert host.meminfo("MemTotal:  8 kB\nHugePages_Total: 2\n\n") == {"MemTotal": 8192, "HugePages_Total": 2}
    assert host.read().memory_total > 0 and host.read().cpus


def test_the_first_frame_has_no_history_of_the_machine() -> None:
    meter = Meter(1.0)
    first = meter.frame(reading(1, [], [], host=HostReading(cpus=((0, 100),))))
    then = meter.frame(reading(2, [], [], host=HostReading(cpus=((30, 200),))))
    assert (first.node.history.total, then.node.history.values, then.node.cpu) == (0, (30.0,), 30.0)
