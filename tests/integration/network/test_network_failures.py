"""What goes wrong: plugins that fail, hang, lie or vanish; cleanup, CHECK, GC, STATUS."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from network_scene import Net, config

from cricket.errors import Code, CricketError, DeadlineExceeded, FailedPrecondition, NotFound, Unavailable
from cricket.kernel.namespaces import in_netns
from cricket.network import cache
from cricket.network.plugin import PluginFailed

pytestmark = pytest.mark.root


def pass_on(on_add: str = "", on_del: str = "") -> str:
    """A chained plugin that changes nothing: it hands prevResult on, after running some shell of the test's."""
    return f"""
case $CNI_COMMAND in
VERSION) echo '{{"cniVersion":"1.0.0","supportedVersions":["1.0.0","1.1.0"]}}' ;;
ADD) {on_add or ":"}
     python3 -c 'import json,sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))' ;;
DEL) {on_del or ":"} ;;
esac
"""


def eth0_exists(netns: str) -> bool:
    shown = in_netns(netns, lambda: subprocess.run(["ip", "-j", "link"], capture_output=True, check=True))
    return any(link["ifname"] == "eth0" for link in json.loads(shown.stdout))


@pytest.mark.parametrize(
    ("code", "grpc"), [(11, Code.UNAVAILABLE), (7, Code.FAILED_PRECONDITION), (999, Code.INTERNAL)]
)
async def test_failed_add_leaves_nothing_and_says_why(net: Net, code: int, grpc: Code) -> None:
    error = f'{{"cniVersion":"1.0.0","code":{code},"msg":"no luck","details":"all of it is gone"}}'
    net.script("unlucky", f"[ $CNI_COMMAND = DEL ] && exit 0; echo '{error}'; exit 1")
    net.write(net.bridge_plugin(), {"type": "unlucky"})
    network = net.network()
    sandbox, netns = net.sandbox()
    with pytest.raises(PluginFailed) as caught:
        await network.setup(sandbox, netns, config())
    assert caught.value.code == grpc and caught.value.cni_code == code
    assert (caught.value.plugin, caught.value.msg, caught.value.details) == ("unlucky", "no luck", "all of it is gone")
    assert "CNI plugin unlucky failed on ADD" in str(caught.value)
    assert not await asyncio.to_thread(eth0_exists, netns)
    assert net.cached() == [] and net.reserved() == []


@pytest.mark.parametrize(
    "text",
    [
        "kill -9 $$",
        "echo not json",
        "echo '[1]'",
        'echo \'{"cniVersion":"1.0.0","ips":[{"address":"nonsense"}]}\'',
        'echo \'{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/24","interface":7}]}\'',
        'echo \'{"cniVersion":"7.0.0"}\'',
        "head -c 100000 /dev/zero | tr '\\0' '['",
        "exit 0",
        "echo oops >&2; exit 3",
    ],
)
async def test_nonsense_from_a_plugin_is_an_error_with_its_name(net: Net, text: str) -> None:
    net.script("liar", f"[ $CNI_COMMAND = DEL ] && exit 1\ncat >/dev/null\n{text}")
    net.write(net.bridge_plugin(), {"type": "liar"})
    sandbox, netns = net.sandbox()
    with pytest.raises(PluginFailed, match="CNI plugin liar failed on ADD"):
        await net.network().setup(sandbox, netns, config())
    # Even its DEL fails: the bridge is taken down all the same.
    assert net.cached() == [] and net.reserved() == []


async def test_a_plugin_that_hangs_is_killed(net: Net) -> None:
    net.script("sleeper", "[ $CNI_COMMAND = DEL ] && exit 0; exec sleep 1000")
    net.write(net.bridge_plugin(), {"type": "sleeper"})
    sandbox, netns = net.sandbox()
    with pytest.raises(DeadlineExceeded, match="sleeper did not finish ADD in 1 s"):
        await net.network(plugin_timeout=1.0).setup(sandbox, netns, config())
    assert net.cached() == [] and net.reserved() == []


async def test_a_cancelled_setup_cleans_up(net: Net) -> None:
    net.script("sleeper", f"[ $CNI_COMMAND = DEL ] && exit 0; touch {net.tmp}/reached; exec sleep 1000")
    net.write(net.bridge_plugin(), {"type": "sleeper"})
    sandbox, netns = net.sandbox()
    task = asyncio.ensure_future(net.network().setup(sandbox, netns, config()))
    async with asyncio.timeout(10):
        while not (net.tmp / "reached").exists():
            await asyncio.sleep(0.01)
    assert net.reserved() != []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert net.cached() == [] and net.reserved() == []


async def test_a_plugin_that_is_missing_stops_before_any_effect(net: Net) -> None:
    net.write(net.bridge_plugin(), {"type": "not-there"})
    network = net.network()
    sandbox, netns = net.sandbox()
    with pytest.raises(FailedPrecondition, match="CNI plugin not-there is not installed"):
        await network.setup(sandbox, netns, config())
    assert net.cached() == [] and net.reserved() == []
    await network.teardown(sandbox, netns, config())


async def test_without_a_configuration(net: Net) -> None:
    sandbox, netns = net.sandbox()
    with pytest.raises(Unavailable, match="cricket network init"):
        await net.network().setup(sandbox, netns, config())
    await net.network().teardown(sandbox, netns, config())


async def test_a_network_without_addresses_is_refused(net: Net) -> None:
    net.write({"type": "bridge", "bridge": net.bridge})
    sandbox, netns = net.sandbox()
    with pytest.raises(FailedPrecondition, match="gave eth0 no address"):
        await net.network().setup(sandbox, netns, config())
    assert net.cached() == []


async def test_an_interrupted_add_is_undone_after_the_restart(net: Net) -> None:
    """Killed during ADD there is an intent in the cache, even when the configuration has changed since."""
    net.write(net.bridge_plugin(ipMasq=True))
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    [entry] = cache.read(str(net.cache_dir))
    assert entry.conf is not None and entry.ours
    cache.write(str(net.cache_dir), entry.conf, entry.attachment, None, durable=False)
    net.write({"type": "loopback"}, name="other")
    await net.network().teardown(sandbox, netns, config())
    assert net.cached() == [] and net.reserved() == []


async def test_a_second_setup_replaces_what_the_first_left(net: Net) -> None:
    net.write(net.bridge_plugin())
    sandbox, netns = net.sandbox()
    await net.network().setup(sandbox, netns, config())
    again = await net.network().setup(sandbox, netns, config())
    assert net.reserved() == list(again.ips)
    await net.network().teardown(sandbox, netns, config())


async def test_del_that_fails_is_kept_for_the_next_try(net: Net) -> None:
    refuse = """{ echo '{"code":100,"msg":"not yet"}'; exit 1; }"""
    net.script("stubborn", pass_on(on_del=f"[ -e {net.tmp}/ok ] || {refuse}"))
    net.write(net.bridge_plugin(), {"type": "stubborn"})
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    with pytest.raises(PluginFailed, match="not yet"):
        await network.teardown(sandbox, netns, config())
    assert len(net.cached()) == 1 and len(net.reserved()) == 1
    (net.tmp / "ok").touch()
    await network.teardown(sandbox, netns, config())
    assert net.cached() == []


async def test_a_damaged_cache_entry_does_not_stop_del(net: Net) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    net.cached()[0].write_text("{")
    await network.teardown(sandbox, netns, config())
    assert net.reserved() == [] and net.cached() == []


async def test_check_finds_a_removed_address(net: Net) -> None:
    net.write(net.bridge_plugin())
    network = net.network()
    sandbox, netns = net.sandbox()
    await _inside(netns, "ip", "link", "set", "lo", "up")
    with pytest.raises(NotFound, match="attached to no network"):
        await network.check(sandbox, netns, config())
    result = await network.setup(sandbox, netns, config())
    await network.check(sandbox, netns, config())
    await _inside(netns, "ip", "address", "del", f"{result.ips[0]}/24", "dev", "eth0")
    with pytest.raises(PluginFailed, match="CHECK"):
        await network.check(sandbox, netns, config())
    await _inside(netns, "ip", "link", "set", "lo", "down")
    with pytest.raises(FailedPrecondition, match="loopback"):
        await network.check(sandbox, netns, config())
    await network.teardown(sandbox, netns, config())


@pytest.mark.parametrize("more", [{"disableCheck": True}, {"cniVersion": "0.3.1"}])
async def test_check_is_left_out_where_it_must_be(net: Net, more: dict[str, object]) -> None:
    net.write(net.bridge_plugin(), **more)
    network = net.network()
    sandbox, netns = net.sandbox()
    result = await network.setup(sandbox, netns, config())
    await _inside(netns, "ip", "address", "del", f"{result.ips[0]}/24", "dev", "eth0")
    await network.check(sandbox, netns, config())
    await network.teardown(sandbox, netns, config())


async def test_gc_takes_down_what_nobody_owns(net: Net) -> None:
    net.write(net.bridge_plugin(ipMasq=True))
    network = net.network()
    kept, gone, foreign = net.sandbox(), net.sandbox(), net.sandbox()
    for sandbox, netns in (kept, gone, foreign):
        await network.setup(sandbox, netns, config())
    # As containerd would have written it: without our mark.
    file = next(p for p in net.cached() if foreign[0] in p.name)
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "runtime"}))
    await network.gc([(kept[0], "eth0")])
    assert sorted(p.name.split("-")[-2] for p in net.cached()) == sorted((kept[0], foreign[0]))
    assert len(net.reserved()) == 2
    for sandbox, netns in (kept, foreign):
        await network.teardown(sandbox, netns, config())


async def test_gc_of_1_1_lets_the_plugins_remove_a_leaked_reservation(net: Net) -> None:
    """Debian's plugins know no GC, so the test brings a plugin that keeps one file per attachment."""
    state = net.tmp / "state"
    state.mkdir()
    net.script(
        "keeper",
        f"""exec python3 -c '
import json, os, pathlib, sys
conf, command, me = json.load(sys.stdin), os.environ["CNI_COMMAND"], os.environ.get("CNI_CONTAINERID", "")
state = pathlib.Path("{state}")
if command == "VERSION": print(json.dumps(dict(cniVersion="1.1.0", supportedVersions=["1.0.0", "1.1.0"])))
if command == "ADD":
    (state / me).touch()
    print(json.dumps(dict(cniVersion="1.1.0", interfaces=[], ips=[dict(address="10.198.0.9/24")])))
if command == "DEL": (state / me).unlink(missing_ok=True)
if command == "GC":
    assert "prevResult" not in conf and not me
    valid = [a["containerID"] for a in conf["cni.dev/valid-attachments"]]
    [p.unlink() for p in state.iterdir() if p.name not in valid]
if command == "STATUS" and (state / "full").exists():
    print(json.dumps(dict(cniVersion="1.1.0", code=50, msg="no addresses left"))); sys.exit(1)
'""",
    )
    file = net.write({"type": "keeper"}, cniVersion="1.1.0")
    network = net.network(status_interval=0.05)
    sandbox, netns = net.sandbox()
    network.start_watch()
    try:
        await network.setup(sandbox, netns, config())
        (state / "leaked").touch()
        await network.gc([(sandbox, "eth0")])
        assert [p.name for p in state.iterdir()] == [sandbox]
        await _until(lambda: network.condition().status)
        (state / "full").touch()
        await _until(lambda: "no addresses left" in network.condition().message)
        assert network.condition().reason == "NetworkPluginNotReady"
        (state / "full").unlink()
        await _until(lambda: network.condition().status)
        # disableGC: neither the plugins nor the cached attachments are touched.
        net.write({"type": "keeper"}, cniVersion="1.1.0", disableGC=True, file=file.name)
        await _until(lambda: network.describe()["file"] == str(file) and b"disableGC" in _raw(network.describe()))
        (state / "leaked").touch()
        await network.gc([(sandbox, "eth0")])
        assert (state / "leaked").exists()
    finally:
        network.stop_watch()
    await network.teardown(sandbox, netns, config())


def _raw(described: dict[str, object]) -> bytes:
    return bytes(described["config"])  # type: ignore[arg-type]  # msgspec.Raw


async def _until(fits: object) -> None:
    assert callable(fits)
    async with asyncio.timeout(10):
        while not fits():
            await asyncio.sleep(0.01)


async def _inside(netns: str, *argv: str) -> None:
    await asyncio.to_thread(in_netns, netns, lambda: subprocess.run(argv, check=True, capture_output=True))


async def test_gc_waits_for_running_operations(net: Net) -> None:
    wait = f"touch {net.tmp}/reached; until [ -e {net.tmp}/go ]; do sleep 0.01; done"
    net.script("slow", pass_on(on_add=wait))
    net.write(net.bridge_plugin(), {"type": "slow"})
    network = net.network()
    sandbox, netns = net.sandbox()
    adding = asyncio.ensure_future(network.setup(sandbox, netns, config()))
    await _until(Path(net.tmp / "reached").exists)
    collecting = asyncio.ensure_future(network.gc([(sandbox, "eth0")]))
    await asyncio.sleep(0)
    assert not collecting.done()
    (net.tmp / "go").touch()
    await adding
    await collecting
    assert len(net.cached()) == 1
    await network.teardown(sandbox, netns, config())


async def test_a_gc_failure_names_what_failed(net: Net) -> None:
    net.script("stuck", pass_on(on_del=f"[ -e {net.tmp}/ok ] || {{ echo bad >&2; exit 1; }}"))
    net.write(net.bridge_plugin(), {"type": "stuck"})
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    with pytest.raises(CricketError, match=sandbox):
        await network.gc([])
    (net.tmp / "ok").touch()
    await network.gc([])
    assert net.cached() == []


async def test_what_another_runtime_attached_is_taken_down_by_id(net: Net) -> None:
    """containerd caches its loopback too, in the same place; a node may switch with pods running."""
    net.write(net.bridge_plugin())
    network = net.network()
    sandbox, netns = net.sandbox()
    await network.setup(sandbox, netns, config())
    [file] = net.cached()
    body = {k: v for k, v in json.loads(file.read_text()).items() if k != "runtime"}
    file.write_text(json.dumps(body))
    loopback = {**body, "networkName": "cni-loopback", "ifName": "lo"}
    (file.parent / f"cni-loopback-{sandbox}-lo").write_text(json.dumps(loopback))
    await network.gc([])
    assert len(net.cached()) == 2
    await network.teardown(sandbox, netns, config())
    assert net.cached() == [] and net.reserved() == []


async def test_a_version_that_a_plugin_does_not_speak_is_told_before_a_pod_fails(net: Net) -> None:
    net.script("mute", "exit 1")
    net.write(net.bridge_plugin(), {"type": "mute"}, cniVersion="1.1.0")
    network = net.network()
    network.start_watch()
    try:
        await _until(lambda: "bridge speaks" in network.condition().message)
        net.write(net.bridge_plugin(), {"type": "mute"})
        await _until(lambda: network.condition().status)
    finally:
        network.stop_watch()
