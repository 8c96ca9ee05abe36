"""Metrics and stages: the tools that every room uses."""

from __future__ import annotations

import asyncio

import pytest

from cricket.types import stage as stages
from cricket.types.metrics import MAX_SERIES, Registry
from cricket.types.stage import concerns, current, operation, reports, stage


def test_text_form() -> None:
    registry = Registry()
    registry.counter("b_total", "Help with \\ and\nbreak.", ["x", "y"]).inc('q"uote', "back\\slash\n", by=1.5)
    registry.gauge("a_now", "Now.", lambda: 3)
    registry.gauge("c_now", "By label.", lambda: {("k",): float("inf")}, ["l"])
    histogram = registry.histogram("d_seconds", "Time.", ["m"], buckets=(0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(value, "v")
    assert registry.render() == (
        "# HELP a_now Now.\n# TYPE a_now gauge\na_now 3\n"
        "# HELP b_total Help with \\\\ and\\nbreak.\n# TYPE b_total counter\n"
        'b_total{x="q\\"uote",y="back\\\\slash\\n"} 1.5\n'
        '# HELP c_now By label.\n# TYPE c_now gauge\nc_now{l="k"} +Inf\n'
        "# HELP d_seconds Time.\n# TYPE d_seconds histogram\n"
        'd_seconds_bucket{m="v",le="0.1"} 2\nd_seconds_bucket{m="v",le="1"} 3\nd_seconds_bucket{m="v",le="+Inf"} 4\n'
        'd_seconds_sum{m="v"} 7.65\nd_seconds_count{m="v"} 4\n'
    )
    assert histogram.count("v") == 4 and histogram.count("other") == 0


def test_the_same_shape_is_the_same_metric_and_another_is_a_mistake() -> None:
    registry = Registry()
    assert registry.counter("n_total", "N.") is registry.counter("n_total", "N.")
    assert registry.histogram("h", "H.") is registry.histogram("h", "H.")
    registry.gauge("g", "G.", lambda: 1)
    registry.gauge("g", "G.", lambda: 2)
    assert "\ng 2\n" in registry.render()
    with pytest.raises(ValueError, match="n_total"):
        registry.counter("n_total", "N.", ["label"])
    with pytest.raises(ValueError, match="n_total"):
        registry.histogram("n_total", "N.")


def test_series_are_bounded() -> None:
    counter = Registry().counter("n_total", "N.", ["who"])
    for i in range(MAX_SERIES + 50):
        counter.inc(f"client-{i}")
    assert counter.value("other") == 50
    assert len(list(counter.lines())) == MAX_SERIES + 1


def test_stages_nest_and_are_kept() -> None:
    with operation("Verb", "box-1", "", "box-1") as op:
        assert current() is op
        with stage("outer"), stage("inner", "net-7"):
            concerns("box-2", "")
            [seen] = reports("net-")
        with stage("after"):
            pass
    assert [(s.name, s.depth, s.running) for s in seen.stages] == [("outer", 0, True), ("inner", 1, True)]
    assert seen.running and seen.outcome == "" and seen.ids == ("box-1", "box-2")
    assert reports("box-2") == []
    [done] = reports("box-2", finished=True)
    assert [s.name for s in done.stages] == ["outer", "inner", "after"] and done.outcome == "ok"
    assert not any(s.running for s in done.stages) and done.took >= done.stages[0].took


def test_a_failure_is_the_outcome_and_short_successes_are_forgotten() -> None:
    with pytest.raises(ValueError), operation("Failing", "f-1"):
        raise ValueError("no luck")
    assert reports("f-1", finished=True)[0].outcome == "no luck"
    with operation("Quick", "q-1"):
        pass
    assert reports("q-1", finished=True) == []


def test_outside_an_operation_nothing_happens() -> None:
    with stage("alone"):
        concerns("x")
    assert current() is None


def test_stages_are_bounded() -> None:
    with operation("Loop") as op:
        for _ in range(stages.MAX_STAGES + 10):
            with stage("round"):
                pass
    assert len(op.stages) == stages.MAX_STAGES and op.dropped == 10


async def test_tasks_and_threads_inherit_the_operation() -> None:
    async def work() -> None:
        with stage("in a task"):
            await asyncio.to_thread(in_thread)

    def in_thread() -> None:
        with stage("in a thread"):
            pass

    with operation("Verb") as op:
        await asyncio.create_task(work())
    assert [s.name for s in op.stages] == ["in a task", "in a thread"]
