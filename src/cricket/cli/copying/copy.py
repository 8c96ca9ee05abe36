"""One copy from end to end."""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator

from cricket.cli.copying import entries as travel
from cricket.cli.copying.ends import End, Local, end_of
from cricket.cli.copying.entries import CHUNK, Entry
from cricket.cli.copying.meter import Meter
from cricket.cli.copying.rules import ABSENT, DIRECTORY, Spot, target
from cricket.cli.errors import UsageError
from cricket.client.connection import Client
from cricket.errors import CricketError, FailedPrecondition, Internal, NotFound, PermissionDenied


def copy(client: Client, source: Spot, destination: Spot, args: argparse.Namespace) -> Meter:
    """Copy; returns what was counted. Raises CricketError."""
    meter = Meter(quiet=args.quiet)
    try:
        if destination.path == "-" and not destination.owner:
            _to_stdout(client, source, args, meter)
        elif source.path == "-" and not source.owner:
            _from_stdin(client, destination, args, meter)
        else:
            _between(client, source, destination, args, meter)
    except tarfile.TarError as error:
        raise Internal("the archive is broken or ends early") from error
    except OSError as error:
        if isinstance(error, BrokenPipeError) and destination.path == "-":
            raise  # whoever read the archive has had enough
        raise _told(error, source, destination) from error
    finally:
        meter.close()
    return meter


def _between(client: Client, source: Spot, destination: Spot, args: argparse.Namespace, meter: Meter) -> None:
    with end_of(client, source, args) as giver, end_of(client, destination, args) as taker:
        kind, real = _look(giver, source, follow=args.follow_link or source.wants_directory)
        there, real_there = _look(taker, destination, follow=True, missing="there is no such directory")
        put = target(source, kind, destination, there, real_there)
        if there == ABSENT and taker.look(put.directory, follow=True)[0] != DIRECTORY:
            raise NotFound("there is no such directory", where=put.directory)
        with giver.entries(real) as found:
            named = travel.renamed(travel.nameless(meter.watch(found)), put.name)
            _put(taker, put.directory, named, args.archive)


def _put(taker: End, directory: str, entries: Iterable[Entry], owners: bool) -> None:
    """Into a container without -a everything is root's, as docker cp has it; here it is the user's."""
    if not owners and type(taker) is not Local:
        entries = travel.disowned(entries)
    taker.put(directory, entries, owners=owners)


def _look(
    end: End, spot: Spot, *, follow: bool, missing: str = "there is no such file or directory"
) -> tuple[str, str]:
    try:
        return end.look(spot.path, follow=follow)
    except FileNotFoundError:  # a directory on the way
        raise NotFound(missing, where=str(spot)) from None


def _to_stdout(client: Client, source: Spot, args: argparse.Namespace, meter: Meter) -> None:
    if os.isatty(1):
        raise UsageError("an archive is nothing for a terminal", todo="send standard output to a file or a pipe")
    with end_of(client, source, args) as giver:
        kind, real = _look(giver, source, follow=args.follow_link or source.wants_directory)
        if kind == ABSENT:
            raise NotFound("there is no such file or directory", where=str(source))
        name = "." if source.contents or not source.name else source.name
        with (
            giver.entries(real) as found,
            open(1, "wb", buffering=CHUNK, closefd=False) as out,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK) as archive,
        ):
            travel.to_tar(archive, _named(meter.watch(found), name))


def _named(entries: Iterable[Entry], top: str) -> Iterator[Entry]:
    for entry in entries:
        entry.info.name = f"{top}/{entry.info.name}".rstrip("/")
        if entry.info.islnk():
            entry.info.linkname = f"{top}/{entry.info.linkname}"
        yield entry


def _from_stdin(client: Client, destination: Spot, args: argparse.Namespace, meter: Meter) -> None:
    if os.isatty(0):
        raise UsageError("standard input should be an archive", todo="send a tar into it")
    with end_of(client, destination, args) as taker:
        kind, real = _look(taker, destination, follow=True)
        if kind != DIRECTORY:
            raise FailedPrecondition("an archive goes into a directory that exists", where=str(destination))
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*", bufsize=CHUNK) as archive:
            entries = travel.nameless(meter.watch(travel.from_tar(archive)))
            taker.put(real, travel.renamed(entries, ""), owners=True)


def _told(error: OSError, source: Spot, destination: Spot) -> CricketError:
    kind = {FileNotFoundError: NotFound, PermissionError: PermissionDenied}.get(type(error), FailedPrecondition)
    where = error.filename if isinstance(error.filename, str) and error.filename else f"{source} -> {destination}"
    return kind("it cannot be copied", where=where)
