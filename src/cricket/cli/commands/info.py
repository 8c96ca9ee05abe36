"""Show who answers: its version, how long it has been up, where its data is and how much of it there is.

Also which endpoint that is and why it was chosen. Other runtimes than Cricket tell less; what is missing is named.
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import print_tree
from cricket.cli.words import age, size
from cricket.client.connection import Client
from cricket.errors import Code, CricketError

EXAMPLES = """\
  cricket info
  cricket info -o json | jq -r .facts.configuration
  cricket info -o jsonpath='{.socket}'
"""
_MISSING = {
    "Info": "its process, up time and configuration (only Cricket tells)",
    "RuntimeConfig": "its cgroup driver",
    "ImageFsInfo": "where its images are and how big",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        found = _gather(client, options.endpoint_choice(args).why)
    if print_document(args.output, found):
        return 0
    facts, filesystems = found.pop("facts", {}), found.pop("imageFilesystems", [])
    if "startedAt" in found:
        found["up"] = age(found.pop("startedAt"))
    usage = [f"{f['mountpoint']}: {size(f['usedBytes'])} in {f['inodesUsed']} files" for f in filesystems]
    found = {"chosen by" if key == "chosenBy" else key: value for key, value in found.items()}
    missing = {"not told": found.pop("notTold")}
    print_tree({**found, "image data": usage[0] if len(usage) == 1 else usage, **facts, **missing})
    return 0


def _gather(client: Client, why: str) -> dict[str, Any]:
    version = client.call("Version", version="v1")
    found: dict[str, Any] = {"runtime": f"{version.runtime_name} {version.runtime_version}"}
    found |= {"socket": client.endpoint, "chosenBy": why}
    side, config, images = (_ask(client, name) for name in _MISSING)
    if side is not None:
        found |= {"pid": side.pid, "startedAt": side.started_at, "facts": dict(sorted(side.facts.items()))}
    if config is not None:
        found["cgroupDriver"] = api_pb2.CgroupDriver.Name(config.linux.cgroup_driver).lower()
    found["pods"] = len(client.call("ListPodSandbox").items)
    found["containers"] = len(client.call("ListContainers").containers)
    found["images"] = len(client.call("ListImages").images)
    if images is not None:
        found["imageFilesystems"] = [
            {"mountpoint": f.fs_id.mountpoint, "usedBytes": f.used_bytes.value, "inodesUsed": f.inodes_used.value}
            for f in images.image_filesystems
        ]
    answers = zip(_MISSING.values(), (side, config, images), strict=True)
    found["notTold"] = [what for what, answer in answers if answer is None]
    return found


def _ask(client: Client, name: str) -> Any:
    """The answer; None when this runtime does not know the question."""
    try:
        return client.call(name)
    except CricketError as error:
        if error.code is not Code.UNIMPLEMENTED:
            raise
        return None
