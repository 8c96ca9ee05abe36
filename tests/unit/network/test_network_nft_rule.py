"""Rules byte for byte as iptables-nft 1.8.9 sends them (recorded in iptables_nft_rules.json), and read back."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from cricket.kernel import nftables_rule as rules
from cricket.kernel.netlink_wire import attribute
from cricket.kernel.nftables_rule import Rule
from cricket.kernel.nftables_wire import IPV4, IPV6, Found, expression, expressions, nested, number

RECORDED = json.loads((Path(__file__).parent / "iptables_nft_rules.json").read_text())
COMMENT = rules.comment('name: "net" id: "abc"')
TARGET = rules.jump("TARGET")


def net(text: str) -> tuple[bytes, int]:
    address, _, prefix = text.partition("/")
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return packed, int(prefix or len(packed) * 8)


OURS = {
    "accept to subnet": rules.rule(rules.accept(), COMMENT, destination=net("10.9.9.2/24")),
    "masquerade but multicast": rules.rule(rules.masquerade(IPV4), COMMENT, not_destination=net("224.0.0.0/4")),
    "jump from address": rules.rule(TARGET, COMMENT, source=net("10.9.9.2")),
    "accept to subnet 6": rules.rule(rules.accept(), destination=net("fd00:9::2/60")),
    "masquerade but multicast 6": rules.rule(rules.masquerade(IPV6), not_destination=net("ff00::/8")),
    "jump from address 6": rules.rule(TARGET, source=net("fd00:9::2")),
    "local": rules.rule(TARGET, rules.local_destination()),
    "multiport": rules.rule(TARGET, rules.comment("hm"), rules.multiport([80, 8080]), protocol="tcp"),
    "multiport sctp": rules.rule(TARGET, rules.comment("hm"), rules.multiport([*range(1, 15), 65535]), protocol="sctp"),
    "port from subnet": rules.rule(
        *(TARGET, rules.destination_port("tcp", 8080)),
        protocol="tcp",
        source=net("10.80.9.2/13"),
        destination=net("10.1.2.3"),
    ),
    "port sctp": rules.rule(TARGET, rules.destination_port("sctp", 8080), protocol="sctp"),
    "dnat": rules.rule(rules.dnat(net("10.9.9.2")[0], 5353), rules.destination_port("udp", 53), protocol="udp"),
    "dnat 6": rules.rule(rules.dnat(net("fd00:9::2")[0], 8080), rules.destination_port("tcp", 80), protocol="tcp"),
    "set mark": rules.rule(rules.set_mark(0x2000)),
    "masquerade marked": rules.rule(rules.masquerade(IPV4), rules.marked(1 << 31)),
    "established": rules.rule(rules.accept(), rules.established(), destination=net("10.9.9.2")),
    "from bridge": rules.rule(TARGET, in_interface="br0", not_out_interface="br0"),
    "drop to bridge": rules.rule(rules.drop(), out_interface="br0"),
    "return": rules.rule(rules.go_back()),
}


@pytest.mark.parametrize("name", RECORDED)
def test_as_iptables_sends_it(name: str) -> None:
    recorded = RECORDED[name]
    # A run of zero bytes is recorded as its length.
    text = re.sub(r"<(\d+)>", lambda m: "00" * int(m[1]), recorded["expressions"])
    assert OURS[name].expressions.hex() == text
    assert OURS[name].protocol == recorded["protocol"]


def test_every_rule_is_itself_and_no_other() -> None:
    found = {name: Found(_payload(rule)) for name, rule in OURS.items()}
    for name, rule in OURS.items():
        assert rules.matching(rule, found.values()) == [found[name]], name


def test_as_the_kernel_tells_it() -> None:
    """Counters count, the operation of bitwise is told, and there are no marks on nested attributes."""
    rule = OURS["masquerade but multicast"]
    told = []
    for name, data in expressions(rule.expressions):
        if name == "counter":
            data = attribute(1, b"\1" * 8) + attribute(2, b"\2" * 8)
        if name == "bitwise":
            data += number(6, 0)
        told.append(attribute(1, attribute(1, name.encode() + b"\0") + attribute(2, data)))
    found = Found(_payload(Rule(b"".join(told))))
    assert rules.matching(rule, [found]) == [found]
    verdict = attribute(1, attribute(1, b"immediate\0") + attribute(2, number(1, 0) + attribute(2, _told_jump())))
    jump = Found(_payload(Rule(verdict)))
    assert rules.leads_to(jump, "TARGET") and not rules.leads_to(jump, "TARG")
    assert rules.canonical(verdict) == rules.canonical(TARGET)


def test_a_comment_may_name_a_chain() -> None:
    found = Found(_payload(rules.rule(rules.accept(), rules.comment("TARGET"))))
    assert not rules.leads_to(found, "TARGET")


def test_the_handle() -> None:
    assert Found(bytes(4) + attribute(3, (77).to_bytes(8, "big"))).handle == 77


def test_a_prefix_of_0_matches_everything() -> None:
    assert rules.rule(TARGET, source=net("10.0.0.1/0")) == rules.rule(TARGET)


def _told_jump() -> bytes:
    return attribute(2, number(1, -3) + attribute(2, b"TARGET\0"))


def _payload(rule: Rule) -> bytes:
    return bytes(4) + nested(4, rule.expressions)


def test_an_expression_has_a_name() -> None:
    assert list(expressions(expression("cmp", b""))) == [("cmp", b"")]
