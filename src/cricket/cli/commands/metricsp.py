"""Show the metrics of pods, as the kubelet collects them for /metrics/cadvisor, in Prometheus' form."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import safe

EXAMPLES = """\
  cricket metricsp
  cricket metricsp -o jsonpath='{.podMetrics[*].podSandboxId}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("ListPodSandboxMetrics")
        if print_document(args.output, answer, items="podMetrics"):
            return 0
        keys = {each.name: tuple(each.label_keys) for each in client.call("ListMetricDescriptors").descriptors}
    for pod in answer.pod_metrics:
        for metrics in (pod.metrics, *(container.metrics for container in pod.container_metrics)):
            for line in _lines(metrics, keys):
                print(line)
    return 0


def _lines(metrics: Any, keys: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for metric in metrics:
        pairs = zip(keys.get(metric.name, ()), metric.label_values, strict=False)
        labels = ",".join(f'{key}="{_quoted(value)}"' for key, value in pairs)
        stamp = metric.timestamp // 1_000_000
        yield safe(f"{metric.name}{{{labels}}} {metric.value.value} {stamp}")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
