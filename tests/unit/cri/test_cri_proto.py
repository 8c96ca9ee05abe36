"""The generated code is fresh, and every RPC has a method of the right kind."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import cricket
from cricket._proto.cri import api_pb2
from cricket._proto.cricket import side_pb2
from cricket.cri import methods as table
from cricket.cri.methods import Kind, methods
from cricket.cri.rpc_image import ImageService
from cricket.cri.runtime_service import RuntimeService
from cricket.cri.side import SideService

ROOT = Path(__file__).resolve().parents[3]
GENERATED = Path(cricket.__file__).parent / "_proto"
SERVICES = [
    (api_pb2, "RuntimeService", RuntimeService),
    (api_pb2, "ImageService", ImageService),
    (side_pb2, "Side", SideService),
]


def test_generated_code_is_of_the_committed_sources() -> None:
    recorded = {}
    for line in (GENERATED / "SOURCES.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        recorded[name] = digest
    sources = {str(p.relative_to(ROOT / "proto")): p for p in (ROOT / "proto").glob("*/*.proto")}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    assert recorded == digests, "run `make proto`"
    for name in sources:
        assert (GENERATED / name.replace(".proto", "_pb2.py")).exists()


@pytest.mark.parametrize(("module", "name", "servicer"), SERVICES)
def test_every_rpc_has_a_method_of_its_kind(module: Any, name: str, servicer: Any) -> None:
    for method in methods(module, name):
        function = getattr(servicer, method.name)
        assert inspect.isasyncgenfunction(function) == (method.kind is Kind.STREAM), method.name
        assert inspect.iscoroutinefunction(function) == (method.kind in (Kind.WAIT, Kind.VERB)), method.name


def test_the_table_names_no_rpc_that_does_not_exist() -> None:
    existing = {m.name for module, name, _ in SERVICES for m in methods(module, name)}
    assert existing >= table._VERBS | table._WAITS


def test_subjects_are_ids_names_and_references_but_no_secrets() -> None:
    metadata = api_pb2.PodSandboxMetadata(name="web", namespace="prod", uid="u")
    run = api_pb2.RunPodSandboxRequest(config=api_pb2.PodSandboxConfig(metadata=metadata))
    assert table.subjects(run) == ("prod/web",)
    create = api_pb2.CreateContainerRequest(
        pod_sandbox_id="box", config=api_pb2.ContainerConfig(metadata=api_pb2.ContainerMetadata(name="c"))
    )
    assert table.subjects(create) == ("box", "c")
    auth = api_pb2.AuthConfig(username="u", password="secret")
    pull = api_pb2.PullImageRequest(image=api_pb2.ImageSpec(image="busybox"), auth=auth)
    assert table.subjects(pull) == ("busybox",)
    assert table.subjects(api_pb2.VersionRequest()) == ()
