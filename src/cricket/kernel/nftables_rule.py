"""Rules in the form in which iptables-nft 1.8.8 and later write them, so that it lists, checks and deletes ours.

It uses expressions of nf_tables where these say the same (addresses, interfaces, protocols, ports, marks, verdicts),
and for the rest the extensions of xtables, whose data are C structs in the host's byte order.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink_wire import attribute, attribute_text
from cricket.kernel.nftables_wire import IPV4, Found, expression, expressions, nested, number

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
MULTIPORT_LIMIT = 15  # XT_MULTI_PORTS
COMMENT_LIMIT = 256

Subnet = tuple[bytes, int]  # packed address, prefix length

_REGISTER = 1
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_*
_EQUAL, _DIFFERENT = 0, 1
_META_MARK, _META_IIFNAME, _META_OIFNAME, _META_L4PROTO = 3, 6, 7, 16
_JUMP, _RETURN = -3, -5
_BITWISE_MASK, _BITWISE_XOR = 4, 5
_COMPARE_DATA, _EXTENSION_INFO = 3, 3
_VERDICT_CHAIN = 2
_IMMEDIATE_DATA, _DATA_VERDICT = 2, 2
_SOURCE, _DESTINATION = {4: 12, 16: 8}, {4: 16, 16: 24}  # offsets in the headers by the address's length

_RANGE = struct.Struct("=I16s16sHHH6x")  # nf_nat_range2: flags, first and last address, first and last port, base
_MAP_ADDRESS, _MAP_PORT = 1, 2
_MULTIPORT = struct.Struct("=BB15H15BB")  # xt_multiport_v1
_SCTP = struct.Struct("=4H256sI12s3I4x")  # xt_sctp_info
_CONNTRACK = struct.Struct("=146xHHHH14x")  # xt_conntrack_mtinfo3 up to state_mask and the end


class Rule(NamedTuple):
    """A rule: its expressions, and the number of the layer-4 protocol that it matches, else 0."""

    expressions: bytes
    protocol: int = 0


def rule(
    verdict: bytes,
    *matches: bytes,
    protocol: str = "",
    source: Subnet | None = None,
    destination: Subnet | None = None,
    not_destination: Subnet | None = None,
    in_interface: str = "",
    out_interface: str = "",
    not_out_interface: str = "",
) -> Rule:
    """A rule of what must match, in iptables' order, and what is done then. Host bits of subnets do not count."""
    parts = []
    if in_interface:
        parts.append(_meta(_META_IIFNAME, in_interface.encode() + b"\0"))
    if out_interface:
        parts.append(_meta(_META_OIFNAME, out_interface.encode() + b"\0"))
    if not_out_interface:
        parts.append(_meta(_META_OIFNAME, not_out_interface.encode() + b"\0", _DIFFERENT))
    if protocol:
        parts.append(_meta(_META_L4PROTO, bytes([PROTOCOLS[protocol]])))
    if source:
        parts.append(_address(source, _SOURCE))
    if destination:
        parts.append(_address(destination, _DESTINATION))
    if not_destination:
        parts.append(_address(not_destination, _DESTINATION, _DIFFERENT))
    parts += [*matches, _COUNTER, verdict]
    return Rule(b"".join(parts), PROTOCOLS.get(protocol, 0))


def comment(text: str) -> bytes:
    """`-m comment --comment TEXT`; of a long one the first 255 bytes."""
    return _match("comment", 0, text.encode()[: COMMENT_LIMIT - 1].ljust(COMMENT_LIMIT, b"\0"))


def local_destination() -> bytes:
    """`-m addrtype --dst-type LOCAL`."""
    return _match("addrtype", 1, struct.pack("=HHI", 0, 1 << 2, 0))


def established() -> bytes:
    """`-m conntrack --ctstate RELATED,ESTABLISHED`."""
    return _match("conntrack", 3, _CONNTRACK.pack(1, 0, 0b110, 0))


def multiport(ports: Sequence[int]) -> bytes:
    """`-m multiport --dports`, for up to 15 ports."""
    padded = [*ports, *[0] * (MULTIPORT_LIMIT - len(ports))]
    return _match("multiport", 1, _MULTIPORT.pack(1, len(ports), *padded, *[0] * MULTIPORT_LIMIT, 0))


def destination_port(protocol: str, port: int) -> bytes:
    """`-m PROTOCOL --dport`."""
    if protocol == "sctp":
        flag_info = b"\xff\0\0" * 4
        return _match("sctp", 0, _SCTP.pack(port, port, 0, 0, b"", 0, flag_info, 0, 2, 0))
    return _payload(_TRANSPORT, 2, 2) + _compare(struct.pack(">H", port))


def marked(mark: int) -> bytes:
    """`-m mark --mark MARK/MARK`."""
    value = struct.pack("=I", mark)
    return _meta(_META_MARK) + _mask(value) + _compare(value)


def jump(chain: str) -> bytes:
    """`-j CHAIN`."""
    return _verdict(_JUMP, attribute_text(_VERDICT_CHAIN, chain))


def accept() -> bytes:
    """`-j ACCEPT`."""
    return _verdict(1)


def drop() -> bytes:
    """`-j DROP`."""
    return _verdict(0)


def go_back() -> bytes:
    """`-j RETURN`."""
    return _verdict(_RETURN)


def set_mark(mark: int) -> bytes:
    """`-j MARK --set-xmark MARK/MARK`."""
    return _target("MARK", 2, struct.pack("=II", mark, mark))


def masquerade(family: int) -> bytes:
    """`-j MASQUERADE`."""
    # A list of one range of 24 bytes for IPv4, nf_nat_range for IPv6.
    return _target("MASQUERADE", 0, struct.pack("=I20x", 1) if family == IPV4 else bytes(40))


def dnat(address: bytes, port: int) -> bytes:
    """`-j DNAT --to-destination ADDRESS:PORT`."""
    packed = address.ljust(16, b"\0")
    value = socket.htons(port)
    return _target("DNAT", 2, _RANGE.pack(_MAP_ADDRESS | _MAP_PORT, packed, packed, value, value, 0))


Canonical = tuple[tuple[str, tuple[tuple[int, bytes], ...]], ...]


def canonical(expressions_: bytes) -> Canonical:
    """A rule as a value: equal for one that we would write and for the kernel's account of it.

    Counters do not matter, nor what the kernel adds: flags of attributes, and zeros at the end of C structs.
    """
    return tuple((name, _values(name, data)) for name, data in expressions(expressions_))


def _values(name: str, data: bytes) -> tuple[tuple[int, bytes], ...]:
    found = wire.attributes(data)
    if name == "counter":
        return ()
    if name == "bitwise":
        found = {k: v for k, v in found.items() if k <= _BITWISE_XOR}  # later kernels tell the operation
    elif name == "immediate":
        found = wire.attributes(wire.attributes(found.get(_IMMEDIATE_DATA, b"")).get(_DATA_VERDICT, b""))
    return tuple(sorted((k, v.rstrip(b"\0")) for k, v in found.items()))


def matching(rule_: Rule, there: Iterable[Found]) -> list[Found]:
    """Those rules that are the same as `rule_`."""
    wanted = canonical(rule_.expressions)
    # Taking rules apart is slow, so first those that hold the same addresses, texts and names.
    parts = [part for name, data in expressions(rule_.expressions) if (part := _telling(name, data))]
    likely = (f for f in there if all(part in f.payload for part in parts))
    return [f for f in likely if canonical(f.expressions) == wanted]


def _telling(name: str, data: bytes) -> bytes:
    """Of an expression that we write the bytes that the kernel's account has too."""
    found = wire.attributes(data)
    if name == "cmp":
        return found[_COMPARE_DATA]
    if name in ("match", "target"):
        return found[_EXTENSION_INFO].rstrip(b"\0")
    if name == "immediate":
        return wire.attributes(wire.attributes(found[_IMMEDIATE_DATA])[_DATA_VERDICT]).get(_VERDICT_CHAIN, b"")
    return b""


def leads_to(found: Found, chain: str) -> bool:
    """Whether a rule jumps or goes to a chain."""
    verdict = attribute_text(_VERDICT_CHAIN, chain)
    if verdict not in found.payload:
        return False
    return any(name == "immediate" and verdict in data for name, data in expressions(found.expressions))


_COUNTER = expression("counter", attribute(1, bytes(8)) + attribute(2, bytes(8)))


def _meta(key: int, value: bytes = b"", operator: int = _EQUAL) -> bytes:
    load = expression("meta", number(2, key) + number(1, _REGISTER))
    return load + _compare(value, operator) if value else load


def _address(subnet: Subnet, offsets: dict[int, int], operator: int = _EQUAL) -> bytes:
    address, prefix = subnet
    if not prefix:
        return b""
    size = len(address)
    bits = ((1 << prefix) - 1) << (size * 8 - prefix)
    mask = bits.to_bytes(size, "big")
    value = bytes(a & m for a, m in zip(address, mask, strict=True))
    if prefix % 8 == 0:  # then the first bytes are all that needs to be compared
        return _payload(_NETWORK, offsets[size], prefix // 8) + _compare(value[: prefix // 8], operator)
    return _payload(_NETWORK, offsets[size], size) + _mask(mask) + _compare(value, operator)


def _payload(base: int, offset: int, length: int) -> bytes:
    return expression("payload", number(1, _REGISTER) + number(2, base) + number(3, offset) + number(4, length))


def _mask(mask: bytes) -> bytes:
    registers = number(1, _REGISTER) + number(2, _REGISTER) + number(3, len(mask))
    return expression(
        "bitwise",
        registers + nested(_BITWISE_MASK, attribute(1, mask)) + nested(_BITWISE_XOR, attribute(1, bytes(len(mask)))),
    )


def _compare(value: bytes, operator: int = _EQUAL) -> bytes:
    return expression("cmp", number(1, _REGISTER) + number(2, operator) + nested(_COMPARE_DATA, attribute(1, value)))


def _match(name: str, revision: int, info: bytes) -> bytes:
    return expression("match", attribute_text(1, name) + number(2, revision) + attribute(_EXTENSION_INFO, info))


def _target(name: str, revision: int, info: bytes) -> bytes:
    return expression("target", attribute_text(1, name) + number(2, revision) + attribute(_EXTENSION_INFO, info))


def _verdict(code: int, chain: bytes = b"") -> bytes:
    return expression(
        "immediate", number(1, 0) + nested(_IMMEDIATE_DATA, nested(_DATA_VERDICT, number(1, code) + chain))
    )
