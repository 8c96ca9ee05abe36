"""What the API tells, made from what the agent knows."""

from __future__ import annotations

from typing import Any

import msgspec

from cricket.kubelet.agent import Agent
from cricket.kubelet.model.pod import Pod
from cricket.kubelet.status import moment

Json = dict[str, Any]


def pod_list(agent: Agent) -> Json:
    """A v1.PodList with the pods' specs and statuses."""
    items = [pod_json(w.pod, w.status, w.ending) for w in sorted(agent.workers.values(), key=lambda w: w.pod.key)]
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items, "problems": agent.problems()}


def pod_json(pod: Pod, status: Json, ending: bool = False) -> Json:
    """A v1.Pod. One that is being ended says so in `metadata`, as kubectl expects it for "Terminating"."""
    meta: Json = msgspec.to_builtins(pod.metadata)
    if ending:
        meta["deletionTimestamp"] = status.get("startTime")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": msgspec.to_builtins(pod.spec),
        "status": status,
    }


def event_list(agent: Agent) -> Json:
    """A v1.EventList, oldest first."""
    items = []
    for event in agent.events.all():
        namespace, _, name = event.pod.partition("/")
        involved = {
            "kind": event.kind,
            "namespace": namespace,
            "name": name,
            "uid": event.uid,
            "fieldPath": event.field,
        }
        items.append(
            {
                "involvedObject": involved,
                "type": event.type,
                "reason": event.reason,
                "message": event.message,
                "count": event.count,
                "firstTimestamp": moment(event.first),
                "lastTimestamp": moment(event.last),
                "source": {"component": "cricket-kubelet", "host": agent.node.name},
            }
        )
    return {"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": items}


async def summary(agent: Agent) -> Json:
    """Kubernetes' stats/v1alpha1 Summary, as far as CRI tells it. Raises RemoteError."""
    answer = await agent.cri.call("ListPodSandboxStats", filter={})
    by_uid = {item.attributes.metadata.uid: item for item in answer.stats}
    pods = [_pod_stats(w.pod, w.started_at, by_uid[uid]) for uid, w in agent.workers.items() if uid in by_uid]
    return {"node": {"nodeName": agent.node.name}, "pods": pods}


def _pod_stats(pod: Pod, started_at: int, item: Any) -> Json:
    meta = pod.metadata
    interface = item.linux.network.default_interface
    return {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": moment(started_at),
        "containers": [{"name": c.attributes.metadata.name, **_usage(c)} for c in item.linux.containers],
        **_usage(item.linux),
        "network": {
            "name": interface.name,
            "rxBytes": interface.rx_bytes.value,
            "txBytes": interface.tx_bytes.value,
        },
        "process_stats": {"process_count": item.linux.process.process_count.value},
    }


def _usage(item: Any) -> Json:
    cpu, memory = item.cpu, item.memory
    return {
        "cpu": {
            "time": moment(cpu.timestamp),
            "usageNanoCores": cpu.usage_nano_cores.value,
            "usageCoreNanoSeconds": cpu.usage_core_nano_seconds.value,
        },
        "memory": {
            "time": moment(memory.timestamp),
            "usageBytes": memory.usage_bytes.value,
            "workingSetBytes": memory.working_set_bytes.value,
            "rssBytes": memory.rss_bytes.value,
        },
    }


def configuration(agent: Agent) -> Json:
    """What this agent was made of, in the kubelet's form: /configz."""
    settings, node = msgspec.to_builtins(agent.settings), msgspec.to_builtins(agent.node)
    return {"kubeletconfig": {**settings, "node": node, "containerRuntimeEndpoint": agent.cri.url}}
