"""Counters, gauges and histograms, and their Prometheus text form (exposition format 0.0.4).

A room makes its metrics at import time from `REGISTRY` and calls `inc`/`observe`; `cri/metrics_http.py` serves it all.
Label values are positional, in the order in which the metric named its labels. A metric keeps at most `MAX_SERIES`
combinations; what comes after is counted under "other", so that a hostile client cannot fill the memory.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

MAX_SERIES = 1000
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Default buckets of a histogram of seconds."""

Labels = tuple[str, ...]


class Counter:
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def inc(self, *labels: str, by: float = 1.0) -> None:
        """Add `by` (not negative) to the series with these label values."""
        key = _admit(self._values, labels)
        self._values[key] = self._values.get(key, 0.0) + by

    def value(self, *labels: str) -> float:
        """The current value, 0 when never counted."""
        return self._values.get(labels, 0.0)

    def lines(self) -> Iterator[str]:
        """Samples in text form."""
        for key, value in sorted(self._values.items()):
            yield f"{self.name}{_braces(self.labels, key)} {_number(value)}"


class Gauge:
    """A value read when somebody asks. `read` returns a number, or a mapping from label values to numbers."""

    kind = "gauge"

    def __init__(
        self, name: str, text: str, read: Callable[[], float | Mapping[Labels, float]], labels: Sequence[str] = ()
    ) -> None:
        self.name, self.text, self.labels, self.read = name, text, tuple(labels), read

    def lines(self) -> Iterator[str]:
        """Samples in text form."""
        value = self.read()
        if isinstance(value, Mapping):
            for key, number in sorted(value.items()):
                yield f"{self.name}{_braces(self.labels, key)} {_number(number)}"
        else:
            yield f"{self.name} {_number(value)}"


class Histogram:
    """Observations counted in buckets; `buckets` are upper bounds, ascending, without +Inf."""

    kind = "histogram"

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS) -> None:
        self.name, self.text, self.labels, self.buckets = name, text, tuple(labels), tuple(buckets)
        self._series: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one observation."""
        key = _admit(self._series, labels)
        series = self._series.get(key)
        if series is None:
            # One count per bucket, then +Inf, then the sum.
            series = self._series[key] = [0.0] * (len(self.buckets) + 2)
        series[bisect_left(self.buckets, value)] += 1
        series[-1] += value

    def count(self, *labels: str) -> int:
        """How many observations the series has."""
        return int(sum(self._series.get(labels, [0.0])[:-1]))

    def lines(self) -> Iterator[str]:
        """Samples in text form; buckets are cumulative."""
        for key, series in sorted(self._series.items()):
            total = 0.0
            for bound, count in zip((*self.buckets, math.inf), series[:-1], strict=True):
                total += count
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*key, _number(bound)))} {_number(total)}"
            yield f"{self.name}_sum{_braces(self.labels, key)} {_number(series[-1])}"
            yield f"{self.name}_count{_braces(self.labels, key)} {_number(total)}"


Metric = Counter | Gauge | Histogram
M = TypeVar("M", Counter, Gauge, Histogram)


class Registry:
    """All metrics of a process, by name. Asking again for a name with the same shape gives the same metric."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Make (or find) a counter; by convention `name` ends in `_total`."""
        found = self._metrics.get(name)
        if isinstance(found, Counter) and found.labels == tuple(labels):
            return found
        return self._add(Counter(name, text, labels))

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Make (or find) a histogram; by convention `name` ends in the unit."""
        found = self._metrics.get(name)
        if isinstance(found, Histogram) and (found.labels, found.buckets) == (tuple(labels), tuple(buckets)):
            return found
        return self._add(Histogram(name, text, labels, buckets))

    def gauge(
        self, name: str, text: str, read: Callable[[], float | Mapping[Labels, float]], labels: Sequence[str] = ()
    ) -> Gauge:
        """Make a gauge; one with the same name is replaced, as its callback belongs to an object that may be gone."""
        if isinstance(self._metrics.get(name), Gauge):
            del self._metrics[name]
        return self._add(Gauge(name, text, read, labels))

    def _add(self, metric: M) -> M:
        if metric.name in self._metrics:
            raise ValueError(f"the metric {metric.name} exists with another shape")
        self._metrics[metric.name] = metric
        return metric

    def render(self) -> str:
        """The exposition text, metrics in order of name."""
        lines: list[str] = []
        for _, metric in sorted(self._metrics.items()):
            lines += [f"# HELP {metric.name} {_help(metric.text)}", f"# TYPE {metric.name} {metric.kind}"]
            lines += metric.lines()
        return "\n".join(lines) + "\n"


REGISTRY = Registry()
"""The daemon's registry."""


def _admit(series: Mapping[Labels, object], labels: Labels) -> Labels:
    if labels in series or len(series) < MAX_SERIES:
        return labels
    return ("other",) * len(labels)


def _braces(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    return "{" + ",".join(f'{n}="{_escape(v)}"' for n, v in zip(names, values, strict=True)) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
