"""The side service `cricket.v1.Side`: what our own client asks beyond CRI, on the same socket."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from typing import TypeVar

from cricket import __version__
from cricket._proto.cricket import side_pb2 as pb
from cricket.cri.fields import required, text, texts
from cricket.cri.side_engine import Archives, Daemon, Pulls
from cricket.errors import InvalidArgument, Unimplemented
from cricket.types.side import PullState
from cricket.types.stage import OperationReport, reports

T = TypeVar("T")

KINDS = ("oci-archive", "oci-dir", "docker-archive")


class SideService:
    """All RPCs of `cricket.v1.Side`, by their names. What an engine does not have answers Unimplemented."""

    proto = pb

    def __init__(
        self, *, archives: Archives | None = None, pulls: Pulls | None = None, daemon: Daemon | None = None
    ) -> None:
        self._archives, self._pulls, self._daemon = archives, pulls, daemon
        self._started_at = time.time_ns()

    def Info(self, request: pb.InfoRequest) -> pb.InfoResponse:
        """Who answers, and since when."""
        facts = dict(self._daemon.facts()) if self._daemon is not None else {}
        return pb.InfoResponse(version=__version__, pid=os.getpid(), started_at=self._started_at, facts=facts)

    def Why(self, request: pb.WhyRequest) -> pb.WhyResponse:
        """Operations with their stages, from memory."""
        found = reports(request.id, finished=request.finished)
        return pb.WhyResponse(operations=[_operation(r) for r in found])

    async def Reload(self, request: pb.ReloadRequest) -> pb.ReloadResponse:
        """As SIGHUP does, with an answer."""
        report = await _have(self._daemon).reload()
        return pb.ReloadResponse(applied=report.applied, needs_restart=report.needs_restart)

    async def PullProgress(self, request: pb.PullProgressRequest) -> AsyncIterator[pb.PullProgressResponse]:
        """Until the pull ends."""
        states = _have(self._pulls).watch(required(request.reference, "reference"))
        async for state in states:
            yield _progress(state)

    async def LoadImage(self, request: pb.LoadImageRequest) -> pb.LoadImageResponse:
        """Load images from a file."""
        path = _path(request.path)
        images = await _have(self._archives).load(path, request.name)
        return pb.LoadImageResponse(images=[pb.LoadedImage(id=i.id, tags=i.tags) for i in images])

    async def SaveImage(self, request: pb.SaveImageRequest) -> pb.SaveImageResponse:
        """Write images to a file."""
        kind = request.format or KINDS[0]
        if kind not in KINDS:
            raise InvalidArgument(f"a format is one of {', '.join(KINDS)}", where="format")
        if not request.names:
            raise InvalidArgument("the request lacks a field", where="names")
        await _have(self._archives).save(tuple(request.names), _path(request.path), kind)
        return pb.SaveImageResponse()

    async def ImportImage(self, request: pb.ImportImageRequest) -> pb.ImportImageResponse:
        """Make an image from a root file system."""
        image = await _have(self._archives).import_root(
            _path(request.path),
            required(request.name, "name"),
            texts(request.command, "command"),
            texts(request.env, "env"),
            text(request.working_dir, "working_dir"),
        )
        return pb.ImportImageResponse(id=image.id)

    async def CheckImages(self, request: pb.CheckImagesRequest) -> pb.CheckImagesResponse:
        """Verify the store."""
        found = await _have(self._archives).check(request.repair)
        return pb.CheckImagesResponse(
            problems=[pb.ImageProblem(kind=p.kind, name=p.name, what=p.what, outcome=p.outcome) for p in found]
        )


def _have(part: T | None) -> T:
    if part is None:
        raise Unimplemented("this engine does not have that")
    return part


def _path(value: str) -> str:
    if not required(value, "path").startswith("/"):
        raise InvalidArgument("a path is absolute: the daemon has another directory than you", where="path")
    return value


def _operation(report: OperationReport) -> pb.Operation:
    return pb.Operation(
        method=report.method,
        ids=report.ids,
        started_at=report.started_at,
        took=report.took,
        running=report.running,
        outcome=report.outcome,
        stages=[
            pb.Stage(name=s.name, subject=s.subject, began=s.began, took=s.took, running=s.running, depth=s.depth)
            for s in report.stages
        ],
    )


def _progress(state: PullState) -> pb.PullProgressResponse:
    return pb.PullProgressResponse(
        reference=state.reference,
        stage=state.stage,
        layers=[
            pb.LayerProgress(digest=y.digest, size=y.size, received=y.received, state=y.state) for y in state.layers
        ],
        note=state.note,
    )
