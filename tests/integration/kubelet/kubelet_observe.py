"""What somebody sees of a pod, as lines of text in a normal form: the same for every runtime, or it is a difference.

Left out are times, ids, addresses, uids and counts of repetition; what several containers do at once has no order.
"""

from __future__ import annotations

import re
from typing import Any

from kubelet_agent import AgentProcess

Json = dict[str, Any]
_RULES = (
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
    (r"\b\d+\.\d+\.\d+\.\d+(?=\b)", "IP"),
    (r"\b[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,7}\b", "IP6"),
    (r"\b\d+(\.\d+)?(ms|s)\b", "TIME"),
)


def observe(agent: AgentProcess) -> dict[str, list[str]]:
    """The lines of each pod that the agent has, by its name; also of those that have gone, of which only events are
    left."""
    seen: dict[str, list[str]] = {}
    for pod in agent.ask("/pods")["items"]:
        seen[pod["metadata"]["name"]] = _status(agent, pod)
    for event in agent.ask("/events")["items"]:
        seen.setdefault(event["involvedObject"]["name"], []).append(_event(event))
    return {name: [_normal(line, agent) for line in sorted(lines)] for name, lines in seen.items()}


def _status(agent: AgentProcess, pod: Json) -> list[str]:
    name, status = pod["metadata"]["name"], pod["status"]
    lines = [f"pod {key}: {status[key]}" for key in ("phase", "reason", "message", "qosClass") if key in status]
    lines += [f"pod has {key}" for key in ("podIP", "hostIP", "startTime") if key in status]
    lines += [f"pod addresses: {len(status.get('podIPs', ()))}"]
    for condition in status.get("conditions", ()):
        words = " ".join(condition.get(key, "") for key in ("status", "reason", "message"))
        lines.append(f"condition {condition['type']}: {words.strip()}")
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        lines += _container(container)
        lines += [f"{container['name']} wrote: {line}" for line in _output(agent, name, container["name"])]
    return lines


def _container(container: Json) -> list[str]:
    lines = [f"{key}: {container.get(key)}" for key in ("ready", "started", "restartCount", "image", "imageID")]
    if "resources" in container:
        lines.append(f"resources: {container['resources']}")
    for key in ("state", "lastState"):
        for kind, fields in container[key].items():
            lines.append(f"{key}: {kind}")
            lines += [f"{key} {field}: {value}" for field, value in fields.items() if not field.endswith("At")]
    return [f"{container['name']} {line}" for line in lines]


def _output(agent: AgentProcess, pod: str, container: str) -> list[str]:
    """Lines that are whole: when the beginning of one gets into the log is the monitor's affair."""
    whole, part = [], ""
    for path in sorted(agent.logs.glob(f"*_{pod}_*/{container}/*.log")):
        for line in path.read_text().splitlines():
            _, _, tag, text = line.split(" ", 3)
            part += text
            if tag == "F":
                whole.append(part)
                part = ""
    return whole


def _event(event: Json) -> str:
    field = event["involvedObject"].get("fieldPath", "")
    return f"event {event['type']} {event['reason']} {field}: {event['message']}"


def _normal(line: str, agent: AgentProcess) -> str:
    line = line.replace(str(agent.directory), "DIR").replace(agent.image, "IMAGE").replace(agent.token, "TOKEN")
    for pattern, text in _RULES:
        line = re.sub(pattern, text, line)
    return line
