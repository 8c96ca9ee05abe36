"""Plugins at a real socket: joining, events, adjustments, updates, and plugins that misbehave."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
import struct
import time
from collections.abc import Iterator

import pytest
from nri_fake_plugin import FakePlugin, Refused
from nri_world import SPEC, World, container, sandbox, short_directory

from cricket._proto.nri import api_pb2 as api
from cricket.errors import CricketError, PermissionDenied
from cricket.nri.claims import Conflict
from cricket.nri.rpc import PluginError
from cricket.types.container import ContainerState
from cricket.types.resources import Resources
from cricket.types.sandbox import SandboxState


@pytest.fixture
def world() -> Iterator[World]:
    directory = short_directory()
    yield World(directory)
    shutil.rmtree(directory)


def handler(answer):
    async def handle(request):
        return answer(request) if callable(answer) else answer

    return handle


def refuse(message="no", code=2):
    async def handle(request):
        raise Refused(code, message)

    return handle


async def until(condition, limit=10.0):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_without_plugins_nothing_changes_and_protobuf_is_not_loaded(world):
    async with world.nri() as nri:
        assert not nri.connected
        assert await nri.create_container(sandbox(), container("c"), SPEC) == (SPEC, ())
        assert await nri.update_container(sandbox(), container("c"), Resources(cpu_shares=9)) == (
            Resources(cpu_shares=9),
            (),
        )
        await nri.run_sandbox(sandbox())
        assert stat.S_IMODE(os.stat(world.socket).st_mode) == 0o600
        assert nri._server is None
    assert not os.path.exists(world.socket)


async def test_disabled_means_no_socket(world):
    async with world.nri(enable=False) as nri:
        await nri.run_sandbox(sandbox())
        assert not os.path.exists(world.socket)


async def test_registration_configures_and_synchronises(world):
    world.put(sandbox())
    world.put(container("a", annotations={"k": "v"}))
    world.put(container("gone", ContainerState.EXITED))
    async with world.nri() as nri, FakePlugin(world.socket, "05", "x") as plugin:
        configure, sync = plugin.calls[0][1], plugin.calls[1][1]
        assert configure["runtime_name"] == "cricket"
        assert configure["request_timeout"] == 2000
        assert [pod["id"] for pod in sync["pods"]] == ["box-p"]
        assert [c["id"] for c in sync["containers"]] == ["ctr-a"]
        seen = sync["containers"][0]
        assert seen["name"] == "a"
        assert seen["args"] == ["sleep", "inf"]
        assert seen["annotations"] == {"k": "v"}
        assert seen["user"] == {"uid": 5, "gid": 6, "additional_gids": [7]}
        assert seen["linux"]["resources"]["memory"]["limit"] == 1000
        assert seen["linux"]["oom_score_adj"] == 100
        await until(lambda: nri.connected)


async def test_each_event_reaches_a_plugin_in_order_and_stop_is_told_once(world):
    box, c = world.put(sandbox(state=SandboxState.CREATING)), container("c", ContainerState.CREATING)
    async with world.nri() as nri, FakePlugin(world.socket, "05", "x") as plugin:
        await until(lambda: nri.connected)
        await nri.run_sandbox(box)
        await nri.create_container(box, c, SPEC)
        await nri.post_create(box, c)
        await nri.start_container(box, c)
        await nri.post_start(box, c)
        await nri.update_sandbox(box, Resources(cpu_shares=3), Resources(memory_limit=5))
        await nri.post_update_sandbox(box)
        await nri.update_container(box, c, Resources(cpu_shares=4))
        await nri.post_update(box, c)
        for _ in range(2):
            await nri.stop_container(box, c)
            await nri.stop_sandbox(box)
        await nri.remove_container(box, c)
        for _ in range(2):
            await nri.remove_sandbox(box)
        assert plugin.methods()[2:] == [
            "RunPodSandbox",
            "CreateContainer",
            "ValidateContainerAdjustment",
            "PostCreateContainer",
            "StartContainer",
            "PostStartContainer",
            "UpdatePodSandbox",
            "PostUpdatePodSandbox",
            "UpdateContainer",
            "PostUpdateContainer",
            "StopContainer",
            "StopPodSandbox",
            "RemoveContainer",
            "RemovePodSandbox",
        ]
        assert plugin.requests("UpdatePodSandbox")[0]["overhead_linux_resources"]["cpu"]["shares"] == 3
        assert plugin.requests("StartContainer")[0]["pod"]["ips"] == ["10.0.0.2"]


async def test_only_subscribed_events_are_sent(world):
    mask = 1 << (api.STOP_POD_SANDBOX - 1)
    async with world.nri() as nri, FakePlugin(world.socket, "05", "x", events=mask) as plugin:
        await until(lambda: nri.connected)
        await nri.run_sandbox(sandbox())
        await nri.stop_sandbox(sandbox())
        assert plugin.methods()[2:] == ["StopPodSandbox"]


async def test_plugins_adjust_in_the_order_of_their_indices_and_see_each_other(world):
    first = {"adjust": {"env": [{"key": "A", "value": "2"}], "annotations": {"from": "10"}}}
    second = {"adjust": {"mounts": [{"destination": "/m", "type": "bind", "source": "/s", "options": ["ro"]}]}}
    late = {"CreateContainer": handler(second)}
    early = {"CreateContainer": handler(first)}
    async with (
        world.nri() as nri,
        FakePlugin(world.socket, "20", "late", late) as b,
        FakePlugin(world.socket, "10", "early", early) as a,
    ):
        await until(lambda: nri.connected and len(nri._server.plugins) == 2)
        spec, updates = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec["process"]["env"] == ["PATH=/bin", "A=2"]
        assert spec["annotations"] == {"from": "10"}
        assert spec["mounts"][0] == {"destination": "/m", "type": "bind", "source": "/s", "options": ["ro"]}
        assert updates == []
        assert a.requests("CreateContainer")[0]["container"]["env"] == ["PATH=/bin", "A=1"]
        assert b.requests("CreateContainer")[0]["container"]["env"] == ["PATH=/bin", "A=2"]
        assert SPEC["process"]["env"] == ["PATH=/bin", "A=1"]


async def test_a_conflict_fails_the_creation_and_undoes_it(world):
    both = {"CreateContainer": handler({"adjust": {"env": [{"key": "A", "value": "2"}]}})}
    mask = sum(1 << (bit - 1) for bit in (api.CREATE_CONTAINER, api.STOP_CONTAINER, api.REMOVE_CONTAINER))
    async with (
        world.nri() as nri,
        FakePlugin(world.socket, "10", "a", both, events=mask) as a,
        FakePlugin(world.socket, "20", "b", both, events=mask),
    ):
        await until(lambda: nri.connected and len(nri._server.plugins) == 2)
        with pytest.raises(Conflict, match="plugins 20-b and 10-a both set Env A"):
            await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert a.methods()[2:] == ["CreateContainer", "StopContainer", "RemoveContainer"]


async def test_cdi_devices_go_to_the_injector(world):
    answer = {"CreateContainer": handler({"adjust": {"CDI_devices": [{"name": "v.com/c=d"}]}})}
    async with world.nri() as nri, FakePlugin(world.socket, "10", "a", answer):
        await until(lambda: nri.connected)
        spec, _ = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec["cdi"] == ["v.com/c=d"]


async def test_a_refusal_fails_what_can_fail_and_nothing_else(world):
    methods = ("RunPodSandbox", "StartContainer", "UpdateContainer", "StopPodSandbox", "PostStartContainer")
    handlers = {method: refuse(f"no {method}") for method in methods}
    box, c = sandbox(), container("c")
    async with world.nri() as nri, FakePlugin(world.socket, "10", "a", handlers) as plugin:
        await until(lambda: nri.connected)
        with pytest.raises(PluginError, match="plugin 10-a refuses RunPodSandbox: no RunPodSandbox"):
            await nri.run_sandbox(box)
        assert plugin.methods()[2:] == ["RunPodSandbox", "StopPodSandbox", "RemovePodSandbox"]
        with pytest.raises(PluginError):
            await nri.start_container(box, c)
        with pytest.raises(PluginError):
            await nri.update_container(box, c, Resources())
        await nri.post_start(box, c)
        assert nri.connected


async def test_updates_are_merged_and_given_back(world):
    world.put(container("other"))
    own = {"container_id": "ctr-c", "linux": {"resources": {"cpu": {"shares": 77}}}}
    other = {"container_id": "ctr-other", "linux": {"resources": {"memory": {"limit": 5}, "cpu": {"cpus": "0"}}}}
    lost = {"container_id": "nobody", "linux": {"resources": {"cpu": {"shares": 1}}}}
    handlers = {"UpdateContainer": handler({"update": [own, other, lost]})}
    async with (
        world.nri() as nri,
        FakePlugin(world.socket, "10", "a", handlers),
        FakePlugin(world.socket, "20", "b") as b,
    ):
        await until(lambda: nri.connected and len(nri._server.plugins) == 2)
        changed, updates = await nri.update_container(
            sandbox(), container("c"), Resources(memory_limit=9, cpu_shares=1)
        )
        assert changed == Resources(memory_limit=9, cpu_shares=77)
        assert updates == [("ctr-other", Resources(memory_limit=5, cpu_shares=2, cpuset_cpus="0"))]
        assert b.requests("UpdateContainer")[0]["linux_resources"]["cpu"]["shares"] == 77


async def test_unsolicited_updates_and_evictions(world):
    world.put(container("a"))
    async with world.nri() as nri, FakePlugin(world.socket, "10", "x") as plugin:
        await until(lambda: nri.connected)
        request = api.UpdateContainersRequest()
        request.update.add(container_id="ctr-a").linux.resources.cpu.shares.value = 50
        request.evict.add(container_id="ctr-a", reason="because")
        response = await plugin.call("UpdateContainers", request)
        assert not response.status.code
        assert world.updated == [("ctr-a", Resources(memory_limit=1000, cpu_shares=50))]
        await until(lambda: world.evicted == [("ctr-a", "because")])


async def test_updates_wanted_at_synchronisation_are_applied(world):
    world.put(container("a"))
    update = {"container_id": "ctr-a", "linux": {"resources": {"cpu": {"mems": "0"}}}}
    handlers = {"Synchronize": handler({"update": [update]})}
    async with world.nri(), FakePlugin(world.socket, "10", "x", handlers):
        await asyncio.wait_for(world.changed.wait(), 10)
        assert world.updated == [("ctr-a", Resources(memory_limit=1000, cpu_shares=2, cpuset_mems="0"))]


async def test_old_plugins_get_state_change(world):
    handlers = {m: refuse("unknown", 12) for m in ("RunPodSandbox", "PostStartContainer", "CreateContainer")}
    async with world.nri() as nri, FakePlugin(world.socket, "10", "x", handlers) as plugin:
        await until(lambda: nri.connected)
        await nri.run_sandbox(sandbox())
        await nri.run_sandbox(sandbox("q"))
        await nri.post_start(sandbox(), container("c"))
        assert plugin.methods()[2:] == [
            "RunPodSandbox",
            "StateChange",
            "StateChange",
            "PostStartContainer",
            "StateChange",
        ]
        changes = plugin.requests("StateChange")
        assert changes[0]["event"] == "RUN_POD_SANDBOX"
        assert changes[2]["container"]["id"] == "ctr-c"
        with pytest.raises(PluginError):
            await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)


async def test_a_hanging_plugin_is_dropped_and_the_event_goes_on(world, caplog):
    async def hang(request):
        await asyncio.Event().wait()
        return {}

    async with (
        world.nri(request_timeout=0.1) as nri,
        FakePlugin(world.socket, "10", "slow", {"CreateContainer": hang}) as slow,
        FakePlugin(world.socket, "20", "b", {"CreateContainer": handler({"adjust": {"args": ["x"]}})}),
    ):
        await until(lambda: nri.connected and len(nri._server.plugins) == 2)
        began = time.monotonic()
        spec, _ = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec["process"]["args"] == ["x"]
        assert time.monotonic() - began < 3
        await asyncio.wait_for(slow.closed.wait(), 5)
        assert "10-slow is gone: CreateContainer: no answer" in caplog.text


async def test_an_answer_that_is_sent_when_the_time_is_up_still_counts(world):
    async def slow(request):
        await asyncio.sleep(0.15)
        return {}

    plugin = FakePlugin(world.socket, "10", "slow", {"Synchronize": slow})
    async with world.nri(request_timeout=0.1) as nri, plugin:
        await until(lambda: nri.connected and nri._server.plugins)


@pytest.mark.parametrize("answer", [b"\xff\xff\xff", b"\x0a\xff"])
async def test_a_plugin_that_answers_garbage_is_dropped(world, answer, caplog):
    async with world.nri() as nri, FakePlugin(world.socket, "10", "bad", {"RunPodSandbox": handler(answer)}) as plugin:
        await until(lambda: nri.connected)
        # RunPodSandboxResponse has no fields, so only what is no protobuf at all is an error.
        await nri.run_sandbox(sandbox())
        await asyncio.wait_for(plugin.closed.wait(), 5)
        assert not nri.connected
        assert "10-bad is gone" in caplog.text


async def test_a_plugin_that_dies_while_it_is_asked_is_dropped(world):
    async with world.nri() as nri, FakePlugin(world.socket, "10", "x") as plugin:

        async def die(request):
            plugin.writer.close()
            await asyncio.Event().wait()
            return {}

        plugin.handlers["CreateContainer"] = die
        await until(lambda: nri.connected)
        spec, _ = await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        assert spec == SPEC
        assert not nri.connected


async def test_frames_that_are_too_long_and_silence_end_the_connection(world, caplog):
    async with world.nri(registration_timeout=0.2) as nri:
        reader, writer = await asyncio.open_unix_connection(world.socket)
        writer.write(struct.pack(">II", 2, 1 << 30))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        reader, writer = await asyncio.open_unix_connection(world.socket)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert not nri.connected
        assert "did not register" in caplog.text


@pytest.mark.parametrize(("index", "name"), [("1", "x"), ("ab", "x"), ("10", ""), ("10", "a/b")])
async def test_bad_names_are_refused(world, index, name):
    async with world.nri():
        plugin = FakePlugin(world.socket, index, name)
        await plugin.connect()
        request = api.RegisterPluginRequest(plugin_name=name, plugin_idx=index)
        response = await plugin.call("RegisterPlugin", request)
        assert response.status.code == 3
        await plugin.close()


async def test_calls_that_the_runtime_does_not_know(world):
    async with world.nri(), FakePlugin(world.socket, "10", "x") as plugin:
        assert (await plugin.call("Nonsense", api.Empty())).status.code == 12
        assert (await plugin.call("RegisterPlugin", api.Empty(), service="other")).status.code == 12
        assert (await plugin.call("RegisterPlugin", api.RegisterPluginRequest())).status.code == 6


async def test_a_large_synchronisation_comes_in_parts(world):
    world.put(sandbox())
    for number in range(120):
        world.put(container(f"c{number}", annotations={"big": "x" * 60_000}))
    async with world.nri(), FakePlugin(world.socket, "10", "x") as plugin:
        await until(lambda: not plugin.requests("Synchronize")[-1].get("more"))
        parts = plugin.requests("Synchronize")
        assert len(parts) > 1
        assert sum(len(part.get("containers", [])) for part in parts) == 120
        assert [part.get("more", False) for part in parts] == [True] * (len(parts) - 1) + [False]


async def test_nothing_is_lost_while_a_plugin_synchronises(world):
    """Containers made before, while and after a plugin joins all reach it, each in exactly one way."""
    going = asyncio.Event()

    async def slow_sync(request):
        await going.wait()
        return {}

    box = world.put(sandbox())

    async def make(name):
        c = world.put(container(name, ContainerState.CREATING))
        await nri.create_container(box, c, SPEC)
        await asyncio.sleep(0)
        world.put(c, ContainerState.CREATED)

    async with world.nri() as nri:
        # This one's event went by without a plugin, but it is not there yet when the plugin joins.
        passed = world.put(container("passed", ContainerState.CREATING))
        await nri.create_container(box, passed, SPEC)
        # And this one's event is still to come.
        coming = world.put(container("coming", ContainerState.CREATING))
        await make("before")
        plugin = FakePlugin(world.socket, "10", "x", {"Synchronize": slow_sync})
        await plugin.connect()
        await plugin.register()
        await until(lambda: plugin.requests("Synchronize"))
        during = [asyncio.ensure_future(make(f"during{n}")) for n in range(3)]
        await asyncio.sleep(0)
        going.set()
        await asyncio.gather(*during)
        await nri.create_container(box, coming, SPEC)
        await make("after")
        synced = [c["id"] for c in plugin.requests("Synchronize")[0]["containers"]]
        created = [request["container"]["id"] for request in plugin.requests("CreateContainer")]
        assert sorted(synced) == ["ctr-before", "ctr-passed"]
        assert sorted(created) == ["ctr-after", "ctr-coming", "ctr-during0", "ctr-during1", "ctr-during2"]
        await plugin.close()


async def test_validators_can_reject_and_see_who_did_what(world):
    adjuster = {"CreateContainer": handler({"adjust": {"env": [{"key": "A", "value": "2"}], "hooks": _hook()}})}
    judge = {"ValidateContainerAdjustment": handler({"reject": True, "reason": "bad hooks"})}
    async with (
        world.nri() as nri,
        FakePlugin(world.socket, "10", "a", adjuster),
        FakePlugin(world.socket, "20", "judge", judge) as plugin,
    ):
        await until(lambda: nri.connected and len(nri._server.plugins) == 2)
        with pytest.raises(PermissionDenied, match="20-judge rejects the container: bad hooks"):
            await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)
        request = plugin.requests("ValidateContainerAdjustment")[0]
        assert request["plugins"] == [{"name": "a", "index": "10"}, {"name": "judge", "index": "20"}]
        assert request["owners"]["owners"]["ctr-c"] == {
            "simple": {3: "10-a"},
            "compound": {6: {"owners": {"A": "10-a"}}},
        }
        assert request["container"]["env"] == ["PATH=/bin", "A=1"]
        assert request["adjust"]["env"] == [{"key": "A", "value": "2"}]


async def test_a_validator_that_hangs_has_not_approved(world):
    async def hang(request):
        await asyncio.Event().wait()
        return {}

    judge = {"ValidateContainerAdjustment": hang}
    async with world.nri(request_timeout=0.1) as nri, FakePlugin(world.socket, "20", "judge", judge):
        await until(lambda: nri.connected)
        with pytest.raises(CricketError, match="was lost while it was asked"):
            await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)


async def test_built_in_rules(world):
    adjuster = {"CreateContainer": handler({"adjust": {"hooks": _hook()}})}
    async with world.nri(validate=True, reject_hooks=True) as nri, FakePlugin(world.socket, "10", "a", adjuster):
        await until(lambda: nri.connected)
        with pytest.raises(PermissionDenied, match="OCI hooks"):
            await nri.create_container(sandbox(), container("c", ContainerState.CREATING), SPEC)


async def test_a_required_plugin_is_missed_with_and_without_others(world):
    async with world.nri(validate=True, required_plugins=("a",)) as nri:
        c = container("c", ContainerState.CREATING)
        with pytest.raises(PermissionDenied, match="not connected: a"):
            await nri.create_container(sandbox(), c, SPEC)
        async with FakePlugin(world.socket, "10", "b"):
            await until(lambda: nri.connected)
            with pytest.raises(PermissionDenied, match="not connected: a"):
                await nri.create_container(sandbox(), c, SPEC)
        async with FakePlugin(world.socket, "20", "a"):
            await until(lambda: nri.connected and [p.base for p in nri._server.plugins] == ["a"])
            await nri.create_container(sandbox(), c, SPEC)


def _hook():
    return {"prestart": [{"path": "/bin/true", "args": ["true"]}]}


async def test_the_runtime_going_down_is_told(world):
    async with world.nri() as nri:
        plugin = FakePlugin(world.socket, "10", "x")
        await plugin.__aenter__()
        await until(lambda: nri.connected)
        await nri.stop()
        assert plugin.methods()[-1] == "Shutdown"
        await asyncio.wait_for(plugin.closed.wait(), 5)
        await plugin.close()


async def test_a_socket_that_another_runtime_serves_is_left_alone(world, caplog):
    async with world.nri(), world.nri() as second:
        assert "another runtime serves NRI" in caplog.text
        assert second._socket is None
        async with FakePlugin(world.socket, "10", "x"):
            pass


async def test_a_stale_socket_is_replaced(world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cricket.nri.facade.remove_file", lambda _: None)
        async with world.nri():
            pass
    assert os.path.exists(world.socket)
    async with world.nri(), FakePlugin(world.socket, "10", "x"):
        pass


@pytest.fixture(autouse=True)
def _logs(caplog):
    caplog.set_level(logging.INFO)
