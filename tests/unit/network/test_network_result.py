"""Results: checked, converted between versions, and what a plugin is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cricket.errors import CricketError, Internal
from cricket.network import result
from cricket.network.attachment import Attachment, request
from cricket.network.conf import parse

OLD = {
    "cniVersion": "0.4.0",
    "interfaces": [{"name": "br"}, {"name": "eth0", "mac": "m", "sandbox": "/ns"}],
    "ips": [
        {"version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1},
        {"version": "6", "address": "fd00::5/64", "interface": 1},
    ],
    "routes": [{"dst": "0.0.0.0/0"}],
    "dns": {"nameservers": ["10.1.0.1"]},
}
NEW = {
    **OLD,
    "cniVersion": "1.1.0",
    "interfaces": [{"name": "br", "mtu": 1400}, {"name": "eth0", "mac": "m", "sandbox": "/ns", "pciID": "x"}],
    "ips": [
        {"address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1},
        {"address": "fd00::5/64", "interface": 1},
    ],
}


def test_up_and_down() -> None:
    assert result.convert(OLD, "1.1.0")["ips"] == NEW["ips"]
    assert result.convert(NEW, "0.4.0") == OLD
    assert result.convert(NEW, "0.3.1") == {**OLD, "cniVersion": "0.3.1"}
    assert result.convert(NEW, "1.0.0") == {**NEW, "cniVersion": "1.0.0"}


def test_to_and_from_the_oldest_shape() -> None:
    two = result.convert(NEW, "0.2.0")
    assert two == {
        "cniVersion": "0.2.0",
        "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
        "ip6": {"ip": "fd00::5/64"},
        "dns": {"nameservers": ["10.1.0.1"]},
    }
    assert result.pod_addresses(two, "eth0") == ("10.1.0.5", "fd00::5")
    back = result.convert(two, "1.0.0")
    assert back["ips"] == [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}]


def test_pod_addresses_are_those_of_the_interface() -> None:
    more = {**NEW, "ips": [{"address": "192.0.2.1/32", "interface": 0}, *NEW["ips"], {"address": "10.1.0.5/16"}]}  # type: ignore[misc]  # JSON
    assert result.pod_addresses(more, "eth0") == ("10.1.0.5", "fd00::5")
    assert result.pod_addresses({"ips": [{"address": "FD00:0::5/64"}]}, "eth0") == ("fd00::5",)


@pytest.mark.parametrize(
    ("preference", "first"), [("cni", "fd00::1"), ("ipv4", "10.0.0.1"), ("ipv6", "fd00::1"), ("", "fd00::1")]
)
def test_order(preference: str, first: str) -> None:
    ordered = result.order(("fd00::1", "10.0.0.1", "10.0.0.2"), preference)
    assert ordered[0] == first and sorted(ordered) == ["10.0.0.1", "10.0.0.2", "fd00::1"]
    assert result.order(("fd00::1",), "ipv4") == ("fd00::1",)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "x",
        {"ips": {}},
        {"ips": ["10.0.0.1/8"]},
        {"ips": [{}]},
        {"ips": [{"address": "10.0.0.1"}]},
        {"ips": [{"address": "10.0.0.1/33"}]},
        {"ips": [{"address": "10.0.0.1/-1"}]},
        {"ips": [{"address": "10.0.0.1\0/8"}]},
        {"ips": [{"address": "10.0.0.1/8", "interface": 0}]},
        {"ips": [{"address": "10.0.0.1/8", "interface": True}], "interfaces": [{}, {}]},
        {"interfaces": [1]},
        {"cniVersion": 1},
        {"cniVersion": "8.0.0"},
        {"cniVersion": "0.2.0", "ip4": {"ip": "x"}},
        {"cniVersion": "0.2.0", "ip4": "x"},
    ],
)
def test_what_is_no_result(bad: object) -> None:
    with pytest.raises(CricketError):
        result.check(bad, "1.0.0")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["ips", "interfaces", "address", "ip4", "x"]), inner)
    ),
)


@given(json, st.sampled_from(["0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]))
def test_any_json_is_a_result_or_a_clean_error(answer: object, version: str) -> None:
    try:
        found = result.check(answer, version)
    except CricketError:
        return
    assert found["cniVersion"] == version
    result.pod_addresses(found, "eth0")


def test_addresses() -> None:
    assert result.parse_address("10.1.0.5/16") == ("10.1.0.5", 16)
    assert result.parse_address("FD00::0:5/64") == ("fd00::5", 64)
    with pytest.raises(Internal):
        result.parse_address(7)


def test_a_request_passes_everything_through_but_what_we_own() -> None:
    plugin = {
        "type": "a",
        "keyA": ["some", {"deep": 1}],
        "name": "ignored",
        "cniVersion": "0.1.0",
        "prevResult": {"forged": True},
        "runtimeConfig": {"forged": True},
        "cni.dev/valid-attachments": ["forged"],
        "args": {"cni": {"labels": []}},
        "capabilities": {"portMappings": True, "dns": False, "mac": True},
    }
    import msgspec

    conf = parse(msgspec.json.encode({"cniVersion": "1.0.0", "name": "net", "plugins": [plugin]}), "f")
    attachment = Attachment("id", "/ns", capabilities={"portMappings": [1], "dns": {}, "bandwidth": {}})
    told = request(conf, conf.plugins[0], attachment=attachment, previous={"cniVersion": "1.0.0"})
    assert told == {
        "type": "a",
        "name": "net",
        "cniVersion": "1.0.0",
        "keyA": ["some", {"deep": 1}],
        "args": {"cni": {"labels": []}},
        "runtimeConfig": {"portMappings": [1]},
        "prevResult": {"cniVersion": "1.0.0"},
    }
    assert set(request(conf, conf.plugins[0])) == {"type", "name", "cniVersion", "keyA", "args"}
