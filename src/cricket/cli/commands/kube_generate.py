"""Write the manifest of running pods, as `cricket run`, `cricket kubelet` and `kubectl apply` take it.

A pod of Cricket's node agent remembers its manifest. Of other pods it is made from what the runtime tells; comments say
what could not be known. ConfigMaps and Secrets that a pod uses come beside it, with the keys that the pod has got.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from cricket.cli import find, options
from cricket.cli.connect import connect
from cricket.errors import FailedPrecondition, map_errors

EXAMPLES = """\
  cricket kube generate web
  cricket kube generate -f shop.yaml web kube-system/db
  cricket kube generate --from-runtime web | cricket run -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("pod", nargs="+", help="id, name or NAMESPACE/NAME")
    parser.add_argument("-f", "--filename", default="-", metavar="FILE", help="where to (default: standard output)")
    parser.add_argument("--from-runtime", action="store_true", help="also of pods that remember their manifests")
    parser.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml", help="form of the output")
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Write them."""
    from cricket.cli.generating.facts import facts
    from cricket.cli.generating.from_runtime import from_runtime
    from cricket.cli.generating.objects import Objects
    from cricket.cli.generating.remembered import remembered
    from cricket.cli.generating.yaml_text import Comments

    objects, documents = Objects(), list[tuple[dict[str, Any], Comments]]()
    with connect(args) as client:
        for sandbox_id in dict.fromkeys(find.sandbox(client, name).id for name in args.pod):
            found, comments = facts(client, sandbox_id), Comments()
            document = None if args.from_runtime else remembered(found, objects, comments)
            documents.append((document or from_runtime(found, objects, comments), comments))
    _write(args.filename, _text([*((value, Comments()) for value in objects.documents()), *documents], args.output))
    return 0


def _text(documents: list[tuple[dict[str, Any], Any]], form: str) -> str:
    if form == "json":
        import json

        values = [value for value, _ in documents]
        whole = values[0] if len(values) == 1 else {"apiVersion": "v1", "kind": "List", "items": values}
        return json.dumps(whole, indent=2) + "\n"
    from cricket.cli.generating.yaml_text import document

    return "---\n".join(document(value, comments) for value, comments in documents)


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    with map_errors(OSError, FailedPrecondition, "the manifest cannot be written", where=path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # there may be Secrets in it
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
