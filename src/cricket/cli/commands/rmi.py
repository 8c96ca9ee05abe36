"""Remove images, each with all of its names."""

from __future__ import annotations

import argparse

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.each import each
from cricket.cli.errors import UsageError
from cricket.client.connection import Client
from cricket.errors import NotFound

EXAMPLES = """\
  cricket rmi busybox:1.36
  cricket rmi --unused       all that no container was made of
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("image", nargs="*", help="id, name:tag or name@digest")
    parser.add_argument(
        "-q",
        "--prune",
        "--unused",
        dest="unused",
        action="store_true",
        help="all that no container uses and that are not pinned",
    )
    parser.add_argument("-a", "--all", action="store_true", help="all that are not pinned")
    parser.add_argument("-f", "--force", action="store_true", help=argparse.SUPPRESS)  # docker's; nothing is refused
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Remove each."""
    if bool(args.image) + args.unused + args.all != 1:
        raise UsageError("name images, or give one of --unused and --all", todo="see `cricket rmi --help`")
    with connect(args) as client:
        return each(args, args.image or _all(client, args.unused), lambda name: _remove(client, name))


def _remove(client: Client, name: str) -> str:
    status = client.call("ImageStatus", image={"image": name})
    if not status.HasField("image"):
        raise NotFound("there is no such image", where=name, todo="see `cricket images`")
    client.call("RemoveImage", image={"image": status.image.id})
    return str(status.image.id)


def _all(client: Client, unused: bool) -> list[str]:
    listed = client.call("ListContainers").containers if unused else ()
    used = {word for c in listed for word in (c.image_id, c.image_ref, c.image.image)}
    return [
        image.id
        for image in client.call("ListImages").images
        if not image.pinned and used.isdisjoint((image.id, *image.repo_tags, *image.repo_digests))
    ]
