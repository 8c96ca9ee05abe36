"""rtnetlink messages: what is packed can be read again, and what the kernel says is understood."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_there_and_back(values: dict[int, bytes]) -> None:
    packed = b"".join(wire.attribute(k, v) for k, v in values.items())
    assert len(packed) % 4 == 0
    assert wire.attributes(packed) == values


@given(st.binary(max_size=200))
def test_any_bytes_can_be_looked_at(data: bytes) -> None:
    wire.attributes(data)
    list(wire.messages(data))
    wire.error(data, wire.F_ACK_TLVS)


def test_an_error_with_words() -> None:
    words = wire.attribute(wire.NLMSGERR_ATTR_MSG, b"no such thing\0")
    head = wire.HEAD.pack(36, wire.RTM_NEWLINK, 0, 1, 0)
    capped = struct.pack("=i", -22) + head + words
    assert wire.error(capped, wire.F_ACK_TLVS | wire.F_CAPPED) == (22, "no such thing")
    whole = struct.pack("=i", -22) + head + b"x" * 20 + words
    assert wire.error(whole, wire.F_ACK_TLVS) == (22, "no such thing")
    assert wire.error(capped, 0) == (22, "")
    assert wire.error(struct.pack("=i", 0) + head, 0) == (0, "")


def test_requests_are_whole_words() -> None:
    """Messages of a batch follow each other without padding."""
    address, name = b"\x0a\1\0\5", "veth12345"
    for request in (
        requests.get_link(name),
        requests.new_bridge(name, mtu=1400),
        requests.new_veth(requests.End(name, mtu=9), requests.End("eth0", mac=b"123456", netns_fd=3), master=4),
        requests.set_link(name, mac=b"123456", mtu=5, txqlen=0, master=0, alias="a pod's"),
        requests.set_port(4, hairpin=True, isolated=False),
        requests.delete_link(name),
        requests.add_address(4, address, 16),
        requests.delete_address(4, address, 16),
        requests.add_route(4, address, 16, gateway=address, source=address, table=1000, priority=7),
        requests.delete_route(4, address, 16),
    ):
        assert len(request.body) % 4 == 0, request.what


def test_the_broadcast_address_of_a_subnet() -> None:
    def broadcast(address: bytes, prefix: int) -> bytes | None:
        body = requests.add_address(4, address, prefix).body
        return wire.attributes(body, wire.ADDR.size).get(wire.IFA_BROADCAST)

    assert broadcast(b"\x0a\1\0\5", 16) == b"\x0a\1\xff\xff"
    assert broadcast(b"\x0a\1\0\5", 31) is None and broadcast(bytes(15) + b"\5", 64) is None
