"""What runtimes tell about an object only when asked for everything: its process, its addresses.

CRI leaves the form of `info` to the runtime: Cricket has its keys at the top, containerd and CRI-O in a JSON object at
`info`. What is not there is "-".
"""

from __future__ import annotations

from cricket.cli.output import parsed
from cricket.client.connection import Client
from cricket.errors import CricketError


def sandbox(client: Client, sandbox_id: str) -> tuple[str, str]:
    """(addresses, pid) of a sandbox."""
    try:
        answer = client.call("PodSandboxStatus", pod_sandbox_id=sandbox_id, verbose=True)
    except CricketError:  # removed since
        return "-", "-"
    network = answer.status.network
    return ",".join(filter(None, (network.ip, *(each.ip for each in network.additional_ips)))) or "-", pid(answer.info)


def pid(info: dict[str, str]) -> str:
    """The process as the node sees it."""
    told = parsed(info)
    for place in (told, told.get("info")):
        if isinstance(place, dict) and isinstance(place.get("pid"), int) and place["pid"] > 0:
            return str(place["pid"])
    return "-"
