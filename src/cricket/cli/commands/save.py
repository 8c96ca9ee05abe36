"""Write images to a file that does not exist yet; the daemon writes it, on its node.

Layers are saved as they were pulled: the daemon must be configured to keep them (images.keep_blobs).
"""

from __future__ import annotations

import argparse
import os

from cricket.cli import options
from cricket.cli.connect import connect
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket save busybox:latest busybox.tar
  cricket save --format docker-archive app:v1 db:v3 both.tar
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("image", nargs="+", help="id, name:tag or name@digest")
    parser.add_argument("file", help="where to")
    parser.add_argument(
        "--format",
        choices=("oci-archive", "oci-dir", "docker-archive"),
        default="oci-archive",
        help="form of the file, or directory (default: oci-archive)",
    )
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Save them."""
    path = os.path.abspath(args.file)
    with connect(args) as client:
        client.call("SaveImage", names=args.image, path=path, format=args.format)
    if not print_document(args.output, {"path": path}):
        print(path)
    return 0
