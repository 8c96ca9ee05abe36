"""CrashLoopBackOff: the clock's arithmetic, over whole lives of containers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cricket.kubelet import backoff
from cricket.kubelet.loop_records import SECOND

MINUTE = 60 * SECOND


def waits(lives: list[float]) -> list[float]:
    """Seconds between the end of each life and the next start, for a container that lives so long each time."""
    entries: dict[str, backoff.Entry] = {}
    now, found = 1000 * SECOND, []
    for life in lives:
        ended = now + int(life * SECOND)
        now = max(backoff.until(entries, "a", ended, ended), ended)
        assert backoff.until(entries, "a", ended, now) == 0, "it waits once"
        entries["a"] = backoff.after(entries, "a", ended, now)
        found.append((now - ended) / SECOND)
    return found


def test_ten_seconds_doubling_to_five_minutes() -> None:
    assert waits([1.0] * 9) == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_ten_minutes_of_running_forget_it() -> None:
    assert waits([1, 1, 1, 601, 1, 1]) == [0, 10, 20, 0, 10, 20]
    assert waits([1, 1, 1, 599, 1, 1]) == [0, 10, 20, 40, 80, 160]


@given(st.lists(st.floats(0, 1500), max_size=30))
def test_against_the_rule(lives: list[float]) -> None:
    expected, wait = [], 0.0
    for life in lives:
        if life > 600.0 or not wait:
            expected.append(0.0)
            wait = 10.0
        else:
            expected.append(wait)
            wait = min(wait * 2, 300.0)
    assert waits(lives) == expected


def test_pods_do_not_share() -> None:
    entries = {"a": backoff.after({}, "a", MINUTE, MINUTE)}
    assert backoff.until(entries, "a", MINUTE, MINUTE) == MINUTE + 10 * SECOND
    assert backoff.until(entries, "b", MINUTE, MINUTE) == 0
