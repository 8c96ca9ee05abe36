"""List images, by name."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.output import print_json, print_table
from cricket.cli.words import short, size

EXAMPLES = """\
  cricket images                    all images
  cricket images busybox            those whose name contains a word
  cricket images --digests
  cricket images check --help       verify the store
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("word", nargs="?", default="", help="only images whose id begins so or whose name contains it")
    parser.add_argument("--digests", action="store_true", help="also show digests")
    options.add_quiet(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        answer = client.call("ListImages")
    images = [image for image in answer.images if _fits(image, args.word)]
    if args.output == "json":
        print_json(api_pb2.ListImagesResponse(images=images))
    elif args.quiet:
        print("".join(f"{image.id}\n" for image in images), end="")
    else:
        rows = sorted((row for image in images for row in _rows(image)), key=lambda row: row[:2])
        header = ("IMAGE", "TAG", "ID", "DIGEST", "SIZE", "")
        keep = [i for i, name in enumerate(header) if name != "DIGEST" or args.digests]
        print_table([header[i] for i in keep], ([row[i] for i in keep] for row in rows), right="SIZE")
    return 0


def _fits(image: Any, word: str) -> bool:
    names = (*image.repo_tags, *image.repo_digests)
    return image.id.removeprefix("sha256:").startswith(word.removeprefix("sha256:")) or any(word in n for n in names)


def _rows(image: Any) -> Iterator[tuple[str, ...]]:
    """One row for each tag; an image without has one, with the name that its digest has."""
    digests = dict(digest.split("@", 1) for digest in image.repo_digests if "@" in digest)
    names = [tag.rpartition(":")[::2] for tag in image.repo_tags] or [(name, "-") for name in digests] or [("-", "-")]
    for name, tag in names:
        digest = digests.get(name, "-")
        yield name, tag, short(image.id), short(digest), size(image.size), "pinned" if image.pinned else ""
