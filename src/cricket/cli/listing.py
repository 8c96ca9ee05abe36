"""What the commands that list pods, containers and images have in common: options, order, ids, names, documents."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cricket.cli import options
from cricket.cli.forms import for_people, print_document
from cricket.cli.output import plain, print_table, safe
from cricket.cli.words import short


def add_listing(parser: argparse.ArgumentParser) -> None:
    """-q, -o, --no-trunc, --no-headers and --sort-by."""
    options.add_quiet(parser)
    options.add_output(parser, wide=True, name=True)
    options.add_table(parser)


def add_newest(parser: argparse.ArgumentParser) -> None:
    """-n and -l: only the newest."""
    parser.add_argument("-n", "--last", type=options.count, metavar="N", help="only the N newest, in whatever state")
    parser.add_argument(
        "-l", "--latest", dest="last", action="store_const", const=1, help="only the newest, in whatever state"
    )


def arranged(args: argparse.Namespace, items: Iterable[Any]) -> list[Any]:
    """The messages of a list newest first, at most --last of them, then as --sort-by says. Raises JsonPathError."""
    found = sorted(items, key=lambda item: -item.created_at)
    if args.last:
        found = found[: args.last]
    return by_field(args, found)


def by_field(args: argparse.Namespace, items: Sequence[Any]) -> list[Any]:
    """The messages as --sort-by says."""
    if not args.sort_by or not items:
        return list(items)
    from cricket.cli.jsonpath import ordered

    return [items[at] for at in ordered([plain(item) for item in items], args.sort_by)]


def printed(args: argparse.Namespace, message: Any, key: str, name: Callable[[Any], str]) -> bool:
    """Print the list if it is not asked for as a table: ids with -q, names, or the message, whose list is at `key`."""
    items = getattr(message, key)
    if args.output == "name":
        print("".join(f"{safe(name(item))}\n" for item in items), end="")
    elif args.quiet and for_people(args.output):
        print("".join(f"{item.id}\n" for item in items), end="")
    else:
        return print_document(args.output, message, items=key)
    return True


def ids(args: argparse.Namespace) -> Callable[[str], str]:
    """How ids are put into a table: short, or whole with --no-trunc."""
    return str if args.no_trunc else short


def table(args: argparse.Namespace, header: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> None:
    """Print a table, without its header if asked."""
    print_table(header, rows, right=right, headers=not args.no_headers)
