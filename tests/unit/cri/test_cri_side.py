"""The side service over parts in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cricket._proto.cricket import side_pb2 as pb
from cricket.cri.fake import BUSYBOX, FakeEngine, FakeStreams
from cricket.cri.server import CriServer
from cricket.cri.side import SideService
from cricket.types.image import Image
from cricket.types.metrics import Registry
from cricket.types.side import ImageProblem, LayerState, PullState, ReloadReport


class Parts:
    """Archives, Pulls and Daemon in one; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def load(self, path: str, name: str) -> Sequence[Image]:
        self.asked.append(("load", path, name))
        return [BUSYBOX]

    async def save(self, names: Sequence[str], path: str, kind: str) -> None:
        self.asked.append(("save", names, path, kind))

    async def import_root(
        self, path: str, name: str, command: Sequence[str], env: Sequence[str], working_dir: str
    ) -> Image:
        self.asked.append(("import", path, name, command, env, working_dir))
        return BUSYBOX

    async def check(self, repair: bool) -> Sequence[ImageProblem]:
        return [ImageProblem("blob", "sha256:x", "is cut off", "removed" if repair else "")]

    async def watch(self, reference: str) -> AsyncIterator[PullState]:
        yield PullState(reference, "resolving")
        yield PullState(reference, "fetching", (LayerState("sha256:l", 10, 4, "downloading"),), "mirror failed")

    async def reload(self) -> ReloadReport:
        return ReloadReport(("log.level",), ("socket",))

    def facts(self) -> Mapping[str, str]:
        return {"root": "/var/lib/cricket"}


async def test_all_of_it(tmp_path: Path, connect: Any) -> None:
    parts = Parts()
    side = SideService(archives=parts, pulls=parts, daemon=parts)
    server = CriServer(FakeEngine(), FakeStreams(), str(tmp_path / "s"), side=side, registry=Registry())
    await server.start()
    client = connect(server.path)
    assert (await client.call("Info")).facts["root"] == "/var/lib/cricket"
    reload = await client.call("Reload")
    assert list(reload.applied) == ["log.level"] and list(reload.needs_restart) == ["socket"]
    loaded = await client.call("LoadImage", pb.LoadImageRequest(path="/a.tar", name="n"))
    assert loaded.images[0].id == BUSYBOX.id and list(loaded.images[0].tags) == list(BUSYBOX.tags)
    await client.call("SaveImage", pb.SaveImageRequest(names=["a", "b"], path="/b.tar"))
    root = pb.ImportImageRequest(path="/r", name="r:1", command=["sh"], env=["A=b"], working_dir="/w")
    assert (await client.call("ImportImage", root)).id == BUSYBOX.id
    assert parts.asked == [
        ("load", "/a.tar", "n"),
        ("save", ("a", "b"), "/b.tar", "oci-archive"),
        ("import", "/r", "r:1", ("sh",), ("A=b",), "/w"),
    ]
    report = await client.call("CheckImages", pb.CheckImagesRequest(repair=True))
    assert [(p.kind, p.outcome) for p in report.problems] == [("blob", "removed")]
    states = await client.call("PullProgress", pb.PullProgressRequest(reference="x"))
    assert [s.stage for s in states] == ["resolving", "fetching"]
    assert states[1].layers[0].received == 4 and states[1].note == "mirror failed"
    await server.stop(0.2)
