"""Run the node agent in the foreground until SIGTERM: pods of manifests become running pods, through any CRI runtime.

Manifests come from folders and files (watched), URLs (polled) or standard input (-): v1 Pod, ConfigMap, Secret,
PersistentVolumeClaim, and the pods of Deployment, DaemonSet, StatefulSet and Job. Pods go on running without the agent;
the next one takes them over. Nothing is touched that this agent has not made.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import Any

from cricket.cli import options
from cricket.cli.errors import UsageError

FOLDER = "/etc/cricket/manifests"
ROOT = "/var/lib/cricket-kubelet"
EXAMPLES = """\
  cricket kubelet                                     the manifests of /etc/cricket/manifests
  cricket kubelet --manifests web.yaml --manifests https://example.org/pods.yaml
  cricket kubelet -r unix:///run/containerd/containerd.sock --manifests ./pods
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "--manifests",
        action="append",
        default=[],
        metavar="FOLDER|FILE|URL|-",
        help=f"where manifests are; may be given several times (default: {FOLDER})",
    )
    parser.add_argument("--name", default="cricket", help="name of this agent, which its pods are labelled with")
    parser.add_argument("--node-name", default="", metavar="NAME", help="name of the node (default: the host's)")
    parser.add_argument("--root", default=ROOT, metavar="DIR", help=f"volumes and state (default: {ROOT})")
    parser.add_argument("--log-root", default="/var/log/pods", metavar="DIR", help="logs (default: /var/log/pods)")
    parser.add_argument("--cgroup-root", default="/cricketpods", metavar="PATH", help="cgroup of all pods")
    parser.add_argument(
        "--no-pod-cgroups", action="store_true", help="leave cgroups to the runtime: no limits of whole pods"
    )
    parser.add_argument(
        "--pod-pids-limit", type=int, default=0, metavar="N", help="processes in a pod (default: no limit)"
    )
    parser.add_argument("--max-backoff", type=options.seconds, default=300.0, metavar="SPAN",
                        help="longest wait before what has failed is tried again (default: 5m)")  # fmt: skip
    parser.add_argument("--api-socket", default="", metavar="PATH", help="where the API is served")
    parser.add_argument("--port", type=int, metavar="PORT", help="serve the API on this port of 127.0.0.1, too")
    _add_housekeeping(parser)
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    options.add_client(parser)


def _add_housekeeping(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("housekeeping")
    group.add_argument("--image-age", type=options.seconds, default=0.0, metavar="SPAN",
                       help="remove images that nobody has used for so long (default: never)")  # fmt: skip
    group.add_argument("--image-min-age", type=options.seconds, default=120.0, metavar="SPAN",
                       help="keep images that were seen first less than this ago (default: 2m)")  # fmt: skip
    group.add_argument("--image-gc-high", type=options.count, default=85, metavar="PERCENT",
                       help="remove unused images when the disk is as full as this (default: 85)")  # fmt: skip
    group.add_argument("--image-gc-low", type=options.count, default=80, metavar="PERCENT",
                       help="... until it is as full as this (default: 80)")  # fmt: skip
    group.add_argument("--log-max-size", type=options.quantity, default=10 << 20, metavar="SIZE",
                       help="rotate a container's log when it is longer (default: 10Mi)")  # fmt: skip
    group.add_argument("--log-max-files", type=options.count, default=5, metavar="N",
                       help="files of a container's log, the current one included (default: 5)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve."""
    from cricket.kubelet.agent_session import SOCKET, Options, serve

    if args.manifests.count("-") > 1:
        raise UsageError("standard input can be read once", where="--manifests")
    level = args.log_level.upper()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname).1s %(message)s")
    logging.getLogger("cricket").setLevel(level)
    node = {"root": os.path.abspath(args.root), "log_root": os.path.abspath(args.log_root)}
    node |= {"cgroup_root": args.cgroup_root} | ({"name": args.node_name} if args.node_name else {})
    made = Options(
        endpoint=options.endpoint(args),
        manifests=tuple(args.manifests or [FOLDER]),
        settings=_settings(args),
        node=node,
        socket=args.api_socket or SOCKET,
        port=args.port,
    )
    return asyncio.run(serve(made))


def _settings(args: argparse.Namespace) -> Any:
    from cricket.kubelet.backoff import Limits
    from cricket.kubelet.loop_records import SECOND
    from cricket.kubelet.worker_parts import Settings

    usual, longest = Settings(), max(args.max_backoff, 0.1)
    most = round(longest * SECOND)
    return Settings(
        name=args.name,
        limits=Limits(min(usual.limits.first, most), most),
        retry=min(usual.retry, longest),
        image_unused_age=args.image_age,
        image_gc_high=args.image_gc_high,
        image_gc_low=min(args.image_gc_low, args.image_gc_high),
        image_min_age=args.image_min_age,
        log_size=args.log_max_size,
        log_files=max(2, args.log_max_files),
        pod_cgroups=not args.no_pod_cgroups,
        pod_pids=max(0, args.pod_pids_limit),
    )
