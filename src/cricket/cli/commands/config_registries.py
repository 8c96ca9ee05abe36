"""Explain what an image name means and which endpoints its pulls go to, in which order and why.

Read in this order: registries.conf for what is blocked, hosts.toml of the registry, the registries.conf entry with the
longest prefix, hosts.toml of _default, the registry itself (see images.certs_dirs and images.registries_conf).
"""

from __future__ import annotations

import argparse
from typing import Any

from cricket.cli import options
from cricket.cli.configuration import add_config, load
from cricket.cli.forms import print_document

EXAMPLES = """\
  cricket config registries busybox
  cricket config registries -o json registry.k8s.io/pause:3.10
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("name", help="an image's name, also a short one")
    add_config(parser)
    options.add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Resolve and print."""
    from cricket.images.remote.endpoint import RegistryPaths
    from cricket.images.remote.resolve import explain

    config = load(args).config.images
    paths = RegistryPaths(config.certs_dirs, config.registries_conf)
    if not print_document(args.output, _as_json(args.name, paths)):
        print(explain(args.name, paths))
    return 0


def _as_json(name: str, paths: Any) -> dict[str, Any]:
    """Without headers and keys, which may be secret."""
    from cricket.images.remote.registries_conf import load_registries
    from cricket.images.remote.resolve import resolve
    from cricket.images.remote.short_names import candidates

    registries = load_registries(paths.registries_conf)
    found = candidates(name, registries)
    resolutions = [resolve(reference, paths, registries) for reference in found.references]
    keys = ("url", "repository", "why", "pull", "resolve", "http_fallback")
    return {
        "name": name,
        "why": found.why,
        "references": [
            {
                "reference": str(resolution.reference),
                "trail": list(resolution.trail),
                "endpoints": [{key: getattr(e, key) for key in keys} for e in resolution.endpoints],
            }
            for resolution in resolutions
        ],
    }
