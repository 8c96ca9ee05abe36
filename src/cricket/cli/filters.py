"""Choosing among pods and containers: crictl's options and docker's `--filter KEY=VALUE`, which mean the same.

Values of one key are alternatives, different keys and all labels must fit. Names and namespaces are regular expressions
that fit anywhere, as with both.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cricket._proto.cri import api_pb2
from cricket.cli import options

Test = Callable[[Any, str], bool]

CONTAINER_STATES = ("created", "running", "exited", "unknown")
SANDBOX_STATES = ("ready", "notready")


def add_filters(parser: argparse.ArgumentParser, states: Sequence[str]) -> None:
    """The options that pods and containers share."""
    keys = ("id", "name", "namespace", "status", *(("image",) if states is CONTAINER_STATES else ()), "label")
    parser.add_argument("id", nargs="?", default="", help="only the one with this id or prefix")
    parser.add_argument("--id", dest="ids", action="append", default=[], help=argparse.SUPPRESS)
    for option, what in (("--name", "those with such a name"), ("--namespace", "those of such a namespace")):
        parser.add_argument(option, action="append", default=[], type=_regex, metavar="REGEX", help=f"only {what}")
    parser.add_argument(
        "-s", "--state", type=_state(states), metavar="STATE", help=f"only those in this state: {', '.join(states)}"
    )
    options.add_labels(parser)
    parser.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        type=_pair(keys, states),
        metavar="KEY=VALUE",
        help=f"the same, as docker has it: {', '.join(keys)}",
    )


def wanted(args: argparse.Namespace, tests: Mapping[str, Test]) -> Callable[[Any], bool]:
    """Whether an item is wanted, by all options; `tests` say what each key means."""
    said: dict[str, list[str]] = {
        "id": [*filter(None, [args.id]), *args.ids],
        "name": list(args.name),
        "namespace": list(args.namespace),
        "status": [args.state] if args.state else [],
        "image": list(getattr(args, "image", ())),
        "label": [],
    }
    for key, value in args.filter:
        said[key].append(value)
    labels = [*(f"{key}={value}" for key, value in args.label), *said.pop("label")]

    def fits(item: Any) -> bool:
        return all(_labelled(item, label) for label in labels) and all(
            any(tests[key](item, value) for value in values) for key, values in said.items() if values
        )

    return fits


def _labelled(item: Any, label: str) -> bool:
    """`KEY=VALUE`, or `KEY` for any value."""
    key, equals, value = label.partition("=")
    return key in item.labels and (not equals or item.labels[key] == value)


def sandbox_tests() -> dict[str, Test]:
    """What the keys mean for items of ListPodSandbox."""
    return {
        "id": lambda item, text: bool(item.id.startswith(text)),
        "name": lambda item, text: re.search(text, item.metadata.name) is not None,
        "namespace": lambda item, text: re.search(text, item.metadata.namespace) is not None,
        "status": lambda item, text: bool(api_pb2.PodSandboxState.Name(item.state) == f"SANDBOX_{text.upper()}"),
    }


def container_tests(namespaces: Mapping[str, str]) -> dict[str, Test]:
    """What the keys mean for items of ListContainers; `namespaces` by the ids of their sandboxes."""
    return {
        "id": lambda item, text: bool(item.id.startswith(text)),
        "name": lambda item, text: re.search(text, item.metadata.name) is not None,
        "namespace": lambda item, text: re.search(text, namespaces.get(item.pod_sandbox_id, "")) is not None,
        "status": lambda item, text: bool(api_pb2.ContainerState.Name(item.state) == f"CONTAINER_{text.upper()}"),
        "image": _made_of,
    }


def _made_of(item: Any, text: str) -> bool:
    """An image's id or its beginning, or a part of its name."""
    ids = (item.image_id, item.image_ref, item.image.image)
    names = (item.image.user_specified_image, item.image.image, item.image_ref)
    digits = text.removeprefix("sha256:")
    return any(text in name for name in names) or any(i.removeprefix("sha256:").startswith(digits) for i in ids if i)


def _state(states: Sequence[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text.lower() not in states:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(states)}")
        return text.lower()

    return check


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    return text


def _pair(keys: Sequence[str], states: Sequence[str]) -> Callable[[str], tuple[str, str]]:
    checks = {"status": _state(states), "name": _regex, "namespace": _regex}

    def check(text: str) -> tuple[str, str]:
        key, value = options.pair(text)
        key = {"state": "status", "ancestor": "image"}.get(key, key)
        if key not in keys:
            raise argparse.ArgumentTypeError(f"there is no filter {key!r}, but {', '.join(keys)}")
        return key, checks.get(key, str)(value)

    return check
