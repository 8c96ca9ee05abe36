"""Pre-installed plugins: started with a connected socket, configured, ended."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nri_world import SPEC, World, container, sandbox, short_directory

from cricket.types.container import ContainerState

PLUGIN = """#!{python}
import json, os, socket, sys
sys.path[:0] = {path!r}
from cricket._proto.nri import api_pb2 as api, ttrpc_pb2
from cricket.wire import nrimux, ttrpc

def send(conn, stream, kind, message):
    sock.sendall(nrimux.frames(conn, ttrpc.encode(stream, kind, message.SerializeToString())))

def answer(message):
    request = ttrpc_pb2.Request.FromString(message.payload)
    payload = b""
    if request.method == "Configure":
        config = api.ConfigureRequest.FromString(request.payload).config
        with open({out!r}, "w") as f:
            json.dump({{"env": dict(os.environ), "config": config, "pid": os.getpid()}}, f)
        payload = api.ConfigureResponse(events=1 << (api.CREATE_CONTAINER - 1)).SerializeToString()
    elif request.method == "CreateContainer":
        response = api.CreateContainerResponse()
        response.adjust.annotations["seen-by"] = os.environ["NRI_PLUGIN_NAME"]
        payload = response.SerializeToString()
    send(nrimux.PLUGIN, message.stream, ttrpc.Type.RESPONSE, ttrpc_pb2.Response(payload=payload))

sock = socket.socket(fileno=int(os.environ["NRI_PLUGIN_SOCKET"]))
register = api.RegisterPluginRequest(plugin_name="ignored", plugin_idx="99")
send(nrimux.RUNTIME, 1, ttrpc.Type.REQUEST, ttrpc_pb2.Request(
    service="nri.pkg.api.v1alpha1.Runtime", method="RegisterPlugin", payload=register.SerializeToString()))
demux, parser = nrimux.Demux(), ttrpc.Parser()
while data := sock.recv(65536):
    for conn, payload in demux.feed(data):
        if conn == nrimux.PLUGIN:
            for message in parser.feed(payload):
                answer(message)
"""


@pytest.fixture
def world() -> Iterator[World]:
    directory = short_directory()
    os.mkdir(f"{directory}/plugins")
    os.mkdir(f"{directory}/conf.d")
    yield World(directory)
    shutil.rmtree(directory)


def install(world: World, name: str, text: str, mode: int = 0o755) -> None:
    path = Path(world.directory, "plugins", name)
    path.write_text(text)
    path.chmod(mode)


def plugin_text(world: World) -> str:
    return PLUGIN.format(python=sys.executable, path=sys.path, out=f"{world.directory}/out.json")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_pre_installed_plugin_is_started_configured_and_ended(world: World) -> None:
    install(world, "10-greeter", plugin_text(world))
    Path(world.directory, "conf.d", "greeter.conf").write_text("general: no\n")
    Path(world.directory, "conf.d", "10-greeter.conf").write_text("special: yes\n")
    async with world.nri() as nri:
        assert nri.connected
        spec, _ = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec["annotations"] == {"seen-by": "greeter"}
        out = json.loads(Path(world.directory, "out.json").read_text())
        assert out["config"] == "special: yes\n"
        assert out["env"]["NRI_PLUGIN_IDX"] == "10"
        assert out["env"]["NRI_PLUGIN_SOCKET"] == "3"
    assert gone(out["pid"])


async def test_what_is_no_plugin_is_passed_over_with_a_log_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    install(world, "README", "not executable", 0o644)
    install(world, "no-index", "#!/bin/sh\n")
    install(world, "20-wasm", "\0asm\1\0\0\0")
    install(world, "30-broken", "#!/does/not/exist\n")
    install(world, "40-quits", "#!/bin/sh\nexit 1\n")
    began = time.monotonic()
    async with world.nri() as nri:
        assert not nri.connected
        assert time.monotonic() - began < 4
    text = caplog.text
    assert "no-index is passed over" in text
    assert "WebAssembly plugins are not supported" in text
    assert "30-broken cannot be started" in text
    assert "40-quits does not join" in text


async def test_a_plugin_that_is_killed_is_dropped(world: World) -> None:
    install(world, "10-greeter", plugin_text(world))
    async with world.nri() as nri:
        os.kill(json.loads(Path(world.directory, "out.json").read_text())["pid"], signal.SIGKILL)
        spec, _ = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec == SPEC
        assert not nri.connected
