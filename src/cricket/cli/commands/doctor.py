"""Look this host over, and say what is wrong, why it matters and what to do about it.

Looked at are the kernel, cgroups, programs, limits, disks, networks, the configuration, the daemon, the kubelet, other
runtimes, and what crashes have left behind. Nothing is changed: what can only be found out by trying is tried in
namespaces of its own (a container that is never started, a rule in an empty network). Any user may run it; it says
what only root can see. With -v what is well is shown, too.

Exit code 1 when there are errors; with --strict also for warnings.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cricket.cli import options
from cricket.cli.completing import completes
from cricket.cli.configuration import add_config
from cricket.cli.forms import print_document
from cricket.cli.output import print_table
from cricket.client.discover import configured

if TYPE_CHECKING:
    from cricket.cli.doctor.checks import Check
    from cricket.cli.doctor.finding import Finding

EXAMPLES = """\
  cricket doctor
  cricket doctor -v                  also what is well
  cricket doctor kernel disk-space   a group of checks, and one check
  cricket doctor --strict -o json | jq '.findings[] | select(.severity == "error")'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    check = parser.add_argument("check", nargs="*", metavar="CHECK", help="names of checks or groups (default: all)")
    completes(check, "check")
    parser.add_argument("--list", action="store_true", help="show the checks by group and look at nothing")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for warnings, too")
    add_config(parser)
    options.add_output(parser)
    options.add_client(parser)


def run(args: argparse.Namespace) -> int:
    """Look and tell."""
    from cricket.cli.doctor import checks

    chosen = checks.choose(args.check)
    if args.list:
        _list(args, chosen)
        return 0
    from cricket.cli.doctor.finding import Severity
    from cricket.cli.doctor.host import Host

    endpoint = configured(getattr(args, "runtime_endpoint", None), os.environ)
    found = checks.examine(Host(endpoint.url if endpoint else "", args.config), chosen)
    if not print_document(args.output, {"findings": [_plain(finding) for finding in found]}, items="findings"):
        from cricket.cli.doctor.report import show

        show(found, verbose=getattr(args, "verbose", False))
    bad = {Severity.ERROR, Severity.WARNING} if args.strict else {Severity.ERROR}
    return 1 if any(finding.severity in bad for finding in found) else 0


def _plain(finding: Finding) -> dict[str, Any]:
    """Without what is empty; the check and its group first."""
    fields = finding._asdict()
    ordered = {"check": fields.pop("check"), "group": fields.pop("group"), **fields}
    return {key: str(value) if key == "severity" else value for key, value in ordered.items() if value}


def _list(args: argparse.Namespace, chosen: Sequence[Check]) -> None:
    entries = [{"check": check.name, "group": check.group, "question": check.question} for check in chosen]
    if not print_document(args.output, {"checks": entries}, items="checks"):
        print_table(("GROUP", "CHECK", "QUESTION"), [(e["group"], e["check"], e["question"]) for e in entries])
