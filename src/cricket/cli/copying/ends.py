"""The ends of a copy: this host, a container through its own tar, a container through this node."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol

from cricket.cli import target
from cricket.cli.copying.by_exec import ExecFiles, NoTar
from cricket.cli.copying.entries import Entry, renamed
from cricket.cli.copying.on_node import Ids, root_of
from cricket.cli.copying.pack import pack
from cricket.cli.copying.rules import ABSENT, DIRECTORY, FILE, LINK, OTHER, Spot
from cricket.cli.copying.tree import Place, Tree
from cricket.cli.copying.unpack import unpack
from cricket.client.connection import Client
from cricket.errors import FailedPrecondition


class End(Protocol):
    """Where files come from or go to. All raise OSError or CricketError."""

    def look(self, path: str, *, follow: bool) -> tuple[str, str]:
        """Kind (see rules) and path without links; an ABSENT last component is no error."""
        ...

    def entries(self, real: str) -> contextlib.AbstractContextManager[Iterator[Entry]]:
        """What is at a path."""
        ...

    def put(self, directory: str, entries: Iterable[Entry], *, owners: bool) -> None:
        """Write below a directory that exists."""
        ...


class Local:
    """This host's files. What is written stays in the directory that was named."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def look(self, path: str, *, follow: bool) -> tuple[str, str]:
        """See End."""
        with self._tree.find(os.path.join(os.getcwd(), path), follow=follow) as place:
            return kind(place), place.path

    @contextlib.contextmanager
    def entries(self, real: str) -> Iterator[Iterator[Entry]]:
        """See End."""
        yield pack(self._tree, real, follow=False, skipped=_skipped)

    def put(self, directory: str, entries: Iterable[Entry], *, owners: bool) -> None:
        """See End."""
        with Tree.of(directory, refuse=True) as inside:
            unpack(inside, entries, owners=owners, skipped=_skipped)


class OnNode(Local):
    """A container's files on its node."""

    def __init__(self, tree: Tree, ids: Ids) -> None:
        super().__init__(tree)
        self._ids = ids

    @contextlib.contextmanager
    def entries(self, real: str) -> Iterator[Iterator[Entry]]:
        """See End."""
        yield self._ids.seen_inside(pack(self._tree, real, follow=False, skipped=_skipped))

    def put(self, directory: str, entries: Iterable[Entry], *, owners: bool) -> None:
        """See End. Owners are always set: files without would be those of the host's root."""
        entries = renamed(self._ids.seen_outside(entries), directory.strip("/"))
        unpack(self._tree, entries, owners=True, skipped=_skipped)


def kind(place: Place) -> str:
    """What is at a place, in the words of the rules."""
    mode = place.mode
    if not mode:
        return ABSENT
    if stat.S_ISLNK(mode):
        return LINK
    return DIRECTORY if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


@contextlib.contextmanager
def end_of(client: Client, spot: Spot, args: argparse.Namespace) -> Iterator[End]:
    """The end that a spot is at. Raises NotFound, FailedPrecondition when there is no way to the files."""
    if not spot.owner:
        with Tree.of("/") as tree:
            yield Local(tree)
        return
    container_id = target.container(client, spot.owner, args.container, running=True).id
    if not args.node:
        files = ExecFiles(client, container_id, args)
        try:
            files.look("/", follow=True)
        except NoTar as error:
            if os.geteuid() != 0:
                todo = "run this as root on the container's node"
                raise FailedPrecondition(f"the container cannot copy: {error}", where=spot.owner, todo=todo) from None
        else:
            yield files
            return
    with root_of(client, container_id) as (tree, ids):
        yield OnNode(tree, ids)


def _skipped(path: str) -> None:
    print(f"cricket: left out, for it is neither file, directory nor link: {path!r}", file=sys.stderr)
