"""Which credentials fit which image."""

from __future__ import annotations

import base64
import json

import pytest
from kubelet_pods import pod, pods

from cricket.kubelet.model.objects import Objects
from cricket.kubelet.pull_auth import credentials

POD = pod(spec="imagePullSecrets: [{name: a}, {name: gone}, {name: b}]")


def objects(*auths: dict[str, dict[str, str]]) -> Objects:
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": auth})},
        }
        for name, auth in zip("ab", auths, strict=False)
    ]
    return pods("\n---\n".join(map(json.dumps, documents)))[1]


def users(image: str, *auths: dict[str, dict[str, str]]) -> list[str]:
    return [auth.username for auth in credentials(POD, image, objects(*auths))]


@pytest.mark.parametrize(
    ("image", "server", "fits"),
    [("reg.example/a/b:1", "reg.example", True), ("reg.example/a/b:1", "https://reg.example", True),
     ("reg.example/a/b", "reg.example/a", True), ("reg.example/ab", "reg.example/a", False),
     ("reg.example:5000/a", "reg.example", False), ("reg.example:5000/a", "reg.example:5000", True),
     ("x.reg.example/a", "*.reg.example", True), ("a.x.reg.example/a", "*.reg.example", False),
     ("busybox", "https://index.docker.io/v1/", True), ("docker.io/library/busybox@sha256:0", "docker.io", True),
     ("me/mine", "registry-1.docker.io", True), ("me/mine", "index.docker.io/me", True),
     ("localhost/a", "localhost", True), ("reg.example/a", "", False)],
)  # fmt: skip
def test_fits(image: str, server: str, fits: bool) -> None:
    assert users(image, {server: {"username": "u", "password": "p"}}) == (["u"] if fits else [])


def test_the_closest_first() -> None:
    found = users(
        "reg.example/team/app:1",
        {"reg.example": {"username": "wide", "password": "p"}},
        {"reg.example/team": {"username": "close", "password": "p"}, "other": {"username": "no", "password": "p"}},
    )
    assert found == ["close", "wide"]


def test_forms() -> None:
    auth = base64.b64encode(b"user:pass:word").decode()
    (found,) = credentials(POD, "reg.example/a", objects({"reg.example": {"auth": auth}}))
    assert (found.username, found.password) == ("user", "pass:word")
    (found,) = credentials(POD, "reg.example/a", objects({"reg.example": {"identitytoken": "t"}}))
    assert found.identity_token == "t"
    assert credentials(POD, "reg.example/a", objects({"reg.example": {"auth": "%"}})) == []
    assert credentials(POD, "reg.example/a", objects({"reg.example": {}})) == []
