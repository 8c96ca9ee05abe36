"""Which configurations the built-in plugins take, which they leave to the executables, and how a call ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import FailedPrecondition
from cricket.network.attachment import Attachment
from cricket.network.builtin import choose
from cricket.network.builtin.base import Builtin, Call, Refused
from cricket.network.conf import parse
from cricket.network.plugin import Executable, PluginFailed, Plugins

HOST_LOCAL: dict[str, Any] = {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}
BRIDGE: dict[str, Any] = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": HOST_LOCAL}


@pytest.mark.parametrize(
    "conf",
    [
        BRIDGE,
        {"type": "bridge"},
        {**BRIDGE, "name": "net", "cniVersion": "1.0.0", "prevResult": {}, "runtimeConfig": {"mac": "x", "new": 1}},
        {**BRIDGE, "cni.dev/valid-attachments": [], "cni.dev/attachments": []},
        {**BRIDGE, "capabilities": {"mac": True, "ips": True, "ipRanges": False}},
        {**BRIDGE, "mtu": 9000, "hairpinMode": True, "promiscMode": False, "enabledad": True, "portIsolation": True},
        {**BRIDGE, "vlan": 0, "macspoofchk": False, "disableContainerInterface": False},
        {**BRIDGE, "dns": {"nameservers": ["10.0.0.10"]}, "args": {"cni": {"mac": "c2:11:22:33:44:55"}}},
        {**BRIDGE, "ipam": {"type": "dhcp", "whatever": 1}},
        {"type": "ptp", "ipam": HOST_LOCAL, "mtu": 1400},
        {"type": "tuning", "sysctl": {"net.core.somaxconn": "5"}, "mac": "c2:11:22:33:44:55", "allmulti": False},
        {"type": "loopback"},
    ],
)
def test_what_is_understood_runs_here(conf: dict[str, Any]) -> None:
    assert choose.find(conf) is not None


@pytest.mark.parametrize(
    "conf",
    [
        {**BRIDGE, "newOption": True},
        {**BRIDGE, "isgateway": True},  # executables take any case; here it is unknown
        {**BRIDGE, "isGateway": "true"},
        {**BRIDGE, "mtu": "1500"},
        {**BRIDGE, "mtu": -1},
        {**BRIDGE, "vlan": 100},
        {**BRIDGE, "vlanTrunk": [{"id": 5}]},
        {**BRIDGE, "macspoofchk": True},
        {**BRIDGE, "disableContainerInterface": True},
        {**BRIDGE, "capabilities": {"infinibandGUID": True}},
        {**BRIDGE, "args": {"labels": []}},
        {**BRIDGE, "args": {"cni": {"new": 1}}},
        {**BRIDGE, "dns": {"nameserver": "10.0.0.10"}},
        {**BRIDGE, "ipam": []},
        {**BRIDGE, "ipMasq": True, "ipMasqBackend": "pigeons"},
        {"type": "ptp"},
        {"type": "ptp", "ipam": {}},
        {"type": "tuning", "sysctl": {"net.core.somaxconn": 5}},
        {"type": "tuning", "mtu": -5},
        {"type": "macvlan", "ipam": HOST_LOCAL},
        {"type": "host-local", "ipam": HOST_LOCAL},
        {"type": "../bridge"},
    ],
)
def test_anything_else_runs_the_executable(conf: dict[str, Any]) -> None:
    assert choose.find(conf) is None
    assert str(conf["type"]) in choose.executables(conf)


@pytest.mark.parametrize(
    "ipam",
    [
        {**HOST_LOCAL, "new": 1},
        {"type": "host-local", "ranges": [{"subnet": "10.1.0.0/16"}]},
        {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16", "exclude": []}]]},
        {"type": "host-local", "routes": [{"dst": "0.0.0.0/0", "new": 1}]},
        {"type": "static", "addresses": ["10.1.0.5/16"]},
        {"type": "whereabouts"},
    ],
)
def test_an_ipam_section_that_is_not_understood(ipam: dict[str, Any]) -> None:
    """The bridge is ours all the same: only IPAM runs its executable."""
    conf = {**BRIDGE, "ipam": ipam}
    assert choose.find(conf) is not None and choose.find_ipam(conf) is None
    assert choose.executables(conf) == (ipam["type"],)


def network(*plugins: dict[str, Any]) -> Any:
    import json

    return parse(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": plugins}).encode(), "test")


def test_what_must_be_installed(tmp_path: Path) -> None:
    conf = network(BRIDGE, {"type": "tuning"}, {"type": "macvlan", "ipam": {"type": "static"}})
    plugins = Plugins([str(tmp_path)])
    assert plugins.missing(conf) == ("macvlan", "static")
    assert plugins.in_process(conf) == ("bridge", "host-local", "tuning")
    assert plugins.missing(network(BRIDGE)) == ()
    off = Plugins([str(tmp_path)], builtin=False)
    assert off.missing(network(BRIDGE)) == ("bridge", "host-local") and off.in_process(conf) == ()
    with pytest.raises(FailedPrecondition, match="bridge is not installed"):
        off.choose(BRIDGE)
    assert isinstance(plugins.choose(BRIDGE), choose.InProcess)
    with pytest.raises(FailedPrecondition, match="macvlan is not installed"):
        plugins.choose({"type": "macvlan"})


async def test_versions_are_the_executables_where_there_is_one(tmp_path: Path) -> None:
    plugins = Plugins([str(tmp_path)])
    assert "1.1.0" in (await plugins.versions("bridge") or ())
    bridge = tmp_path / "bridge"
    bridge.write_text('#!/bin/sh\necho \'{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}\'\n')
    bridge.chmod(0o755)
    assert await plugins.versions("bridge") == {"0.4.0"}
    assert isinstance(plugins.get("bridge"), Executable)


class Fake(Builtin):
    """Does what the test says."""

    def __init__(self, answer: Any = None, *, idle: bool = False) -> None:
        self.answer, self.is_idle, self.calls = answer, idle, []  # type: Any, bool, list[str]

    def understands(self, conf: Mapping[str, object]) -> bool:
        return True

    def idle(self, command: str, call: Call) -> bool:
        return self.is_idle

    def check(self, call: Call) -> None:
        self.calls.append("check")

    def add(self, call: Call) -> dict[str, Any]:
        self.calls.append("add")
        if isinstance(self.answer, Exception):
            raise self.answer
        return dict(self.answer)

    def delete(self, call: Call) -> None:
        self.calls.append("delete")


ATTACHED = Attachment("a", "/netns")


def in_process(builtin: Builtin) -> choose.InProcess:
    return choose.InProcess("fake", builtin, Plugins([]))


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (Refused("no", "really"), 999, "no; really"),
        (Refused("later", code=11), 11, "later"),
        (FailedPrecondition("not now", where="here"), 999, "not now (here)"),
    ],
)
async def test_failures_have_the_executables_codes(failure: Exception, code: int, words: str) -> None:
    with pytest.raises(PluginFailed) as caught:
        await in_process(Fake(failure)).invoke("ADD", {"type": "fake"}, ATTACHED)
    assert caught.value.cni_code == code and words in str(caught.value) and caught.value.plugin == "fake"


async def test_add_without_a_namespace_is_refused() -> None:
    with pytest.raises(PluginFailed) as caught:
        await in_process(Fake()).invoke("ADD", {"type": "fake"}, Attachment("a", ""))
    assert caught.value.cni_code == 4


async def test_nothing_to_do_passes_the_result_on() -> None:
    fake = Fake(idle=True)
    before = {"cniVersion": "1.0.0", "ips": []}
    assert await in_process(fake).invoke("ADD", {"type": "fake", "prevResult": before}, ATTACHED) == before
    await in_process(fake).invoke("DEL", {"type": "fake"}, ATTACHED)
    assert fake.calls == []
    with pytest.raises(PluginFailed, match="prevResult") as caught:
        await in_process(fake).invoke("ADD", {"type": "fake"}, ATTACHED)
    assert caught.value.cni_code == 7


async def test_the_result_has_the_configurations_version() -> None:
    fake = Fake({"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/16"}]})
    answer = await in_process(fake).invoke("ADD", {"type": "fake", "cniVersion": "0.4.0"}, ATTACHED)
    assert answer == {"cniVersion": "0.4.0", "ips": [{"address": "10.1.0.5/16", "version": "4"}]}
    answer = await in_process(fake).invoke("ADD", {"type": "fake", "cniVersion": "0.2.0"}, ATTACHED)
    assert answer == {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16"}}


async def test_commands() -> None:
    plugin = in_process(Fake())
    answer = await plugin.invoke("VERSION", {"type": "fake"}, ATTACHED)
    assert isinstance(answer, dict) and "0.1.0" in answer["supportedVersions"]
    for command in ("STATUS", "GC"):
        assert await plugin.invoke(command, {"type": "fake"}, ATTACHED) is None
    with pytest.raises(PluginFailed) as caught:
        await plugin.invoke("DANCE", {"type": "fake"}, ATTACHED)
    assert caught.value.cni_code == 4
