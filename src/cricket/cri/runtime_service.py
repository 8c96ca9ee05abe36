"""The RuntimeService: its topics put together."""

from __future__ import annotations

from cricket.cri.rpc_container import ContainerRpcs
from cricket.cri.rpc_events import EventRpcs
from cricket.cri.rpc_exec import ExecRpcs
from cricket.cri.rpc_metrics import MetricRpcs
from cricket.cri.rpc_node import NodeRpcs
from cricket.cri.rpc_sandbox import SandboxRpcs
from cricket.cri.rpc_stats import StatsRpcs


class RuntimeService(NodeRpcs, SandboxRpcs, ContainerRpcs, ExecRpcs, StatsRpcs, EventRpcs, MetricRpcs):
    """All RPCs of `runtime.v1.RuntimeService`, by their names."""
