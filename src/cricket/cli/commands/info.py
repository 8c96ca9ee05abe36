"""Show who answers: its version, how long it has been up, where its data is and how much of it there is."""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.output import print_json, print_tree
from cricket.cli.words import age, size
from cricket.client.connection import Client
from cricket.errors import Code, CricketError

EXAMPLES = """\
  cricket info
  cricket info -o json | jq -r .facts.configuration
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        found = _gather(client)
    if args.output == "json":
        print_json(found)
        return 0
    facts, filesystems = found.pop("facts", {}), found.pop("imageFilesystems")
    if "startedAt" in found:
        found["up"] = age(found.pop("startedAt"))
    usage = [f"{f['mountpoint']}: {size(f['usedBytes'])} in {f['inodesUsed']} files" for f in filesystems]
    print_tree({**found, "image data": usage[0] if len(usage) == 1 else usage, **facts})
    return 0


def _gather(client: Client) -> dict[str, Any]:
    version = client.call("Version", version="v1")
    found: dict[str, Any] = {"runtime": f"{version.runtime_name} {version.runtime_version}"}
    found["socket"] = client.endpoint
    try:
        side = client.call("Info")
        found |= {"pid": side.pid, "startedAt": side.started_at, "facts": dict(sorted(side.facts.items()))}
    except CricketError as error:
        if error.code is not Code.UNIMPLEMENTED:  # not Cricket: what CRI says must do
            raise
    found["pods"] = len(client.call("ListPodSandbox").items)
    found["containers"] = len(client.call("ListContainers").containers)
    found["images"] = len(client.call("ListImages").images)
    found["imageFilesystems"] = [
        {"mountpoint": f.fs_id.mountpoint, "usedBytes": f.used_bytes.value, "inodesUsed": f.inodes_used.value}
        for f in client.call("ImageFsInfo").image_filesystems
    ]
    return found
