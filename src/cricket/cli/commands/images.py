"""List images, by name."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import listing, options
from cricket.cli.connect import connect
from cricket.cli.words import size
from cricket.client.connection import Client

EXAMPLES = """\
  cricket images                                  all images
  cricket images busybox                          those whose name contains a word
  cricket images --sort-by .size -o wide          with digests and how many containers use them
  cricket images --filter dangling=true -q        those without a tag
  cricket images check --help                     verify the store
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("word", nargs="?", default="", help="only images whose id begins so or whose name contains it")
    parser.add_argument("--digests", action="store_true", help="also show digests")
    parser.add_argument("--pinned", action="store_true", help=argparse.SUPPRESS)  # the table says it anyway
    parser.add_argument("-a", "--all", action="store_true", help=argparse.SUPPRESS)  # docker's: there are no others
    parser.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        type=_filter,
        metavar="KEY=VALUE",
        help="as crictl has it: reference=REGEX, dangling=true|false",
    )
    listing.add_listing(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    with connect(args) as client:
        images = [image for image in client.call("ListImages").images if _fits(image, args)]
        images = listing.by_field(args, sorted(images, key=_name))
        if not listing.printed(args, api_pb2.ListImagesResponse(images=images), "images", _name):
            _table(args, client, images)
    return 0


def _table(args: argparse.Namespace, client: Client, images: list[Any]) -> None:
    wide, ids = args.output == "wide", listing.ids(args)
    users = _users(client) if wide else Counter()
    header = ("IMAGE", "TAG", "ID", "DIGEST", "SIZE", "CONTAINERS", "USER", "")
    left_out = set() if wide else {"CONTAINERS", "USER"} if args.digests else {"DIGEST", "CONTAINERS", "USER"}
    keep = [i for i, name in enumerate(header) if name not in left_out]
    rows = [row for image in images for row in _rows(image, ids, users)]
    listing.table(args, [header[i] for i in keep], ([row[i] for i in keep] for row in rows), right="SIZE CONTAINERS")


def _fits(image: Any, args: argparse.Namespace) -> bool:
    names = (*image.repo_tags, *image.repo_digests)
    word = args.word
    if not (_is(image, word) or any(word in name for name in names)):
        return False
    for key, value in args.filter:
        if key == "dangling" and (value == "true") == bool(image.repo_tags):
            return False
        if key == "reference" and not any(re.search(value, name) for name in names):
            return False
    return True


def _is(image: Any, word: str) -> bool:
    return bool(image.id.removeprefix("sha256:").startswith(word.removeprefix("sha256:")))


def _name(image: Any) -> str:
    """What other commands find it by."""
    return min((*image.repo_tags,), default="") or min((*image.repo_digests,), default="") or str(image.id)


def _users(client: Client) -> Counter[str]:
    """How many containers were made of an image, by what they call it."""
    return Counter(
        word
        for item in client.call("ListContainers").containers
        for word in {item.image_id, item.image_ref, item.image.image}
    )


def _rows(image: Any, ids: Callable[[str], str], users: Counter[str]) -> Iterator[tuple[str, ...]]:
    """One row for each tag; an image without has one, with the name that its digest has."""
    digests = dict(digest.split("@", 1) for digest in image.repo_digests if "@" in digest)
    names = [tag.rpartition(":")[::2] for tag in sorted(image.repo_tags)]
    used = max((users[word] for word in (image.id, *image.repo_tags, *image.repo_digests)), default=0)
    user = image.username or (str(image.uid.value) if image.HasField("uid") else "-")
    for name, tag in names or [(name, "-") for name in digests] or [("-", "-")]:
        digest = ids(digests.get(name, "-"))
        yield name, tag, ids(image.id), digest, size(image.size), str(used), user, "pinned" if image.pinned else ""


def _filter(text: str) -> tuple[str, str]:
    key, value = options.pair(text)
    value = value.lower() if key == "dangling" else value.removeprefix("/").removesuffix("/")
    if key not in ("reference", "dangling") or (key == "dangling" and value not in ("true", "false")):
        raise argparse.ArgumentTypeError(f"{text!r} is neither reference=REGEX nor dangling=true or dangling=false")
    try:
        re.compile(value)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no regular expression: {error}") from error
    return key, value
