"""Show how much room images and the writable layers of containers take, file system by file system."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document
from cricket.cli.output import print_table
from cricket.cli.words import size

EXAMPLES = """\
  cricket imagefsinfo
  cricket imagefsinfo -o jsonpath='{.imageFilesystems[0].usedBytes.value}'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("ImageFsInfo")
    if print_document(args.output, answer):
        return 0
    rows = [
        (usage.fs_id.mountpoint, of, size(usage.used_bytes.value), str(usage.inodes_used.value))
        for of, found in (("images", answer.image_filesystems), ("containers", answer.container_filesystems))
        for usage in found
    ]
    print_table(("DIRECTORY", "OF", "USED", "FILES"), rows, right="USED FILES")
    return 0
