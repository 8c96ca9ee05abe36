"""nf_tables on the wire: messages of a transaction and what dumps hold. Numbers are big-endian here (nfnetlink)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink_wire import NLA_F_NESTED, attribute, attribute_text

NETLINK_NETFILTER = 12
IPV4, IPV6 = 2, 10  # NFPROTO_*, which are AF_INET and AF_INET6

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
NEWTABLE, NEWCHAIN, GETCHAIN, DELCHAIN = (_SUBSYSTEM + n for n in (0, 3, 4, 5))
NEWRULE, GETRULE, DELRULE, GETGEN = (_SUBSYSTEM + n for n in (6, 7, 8, 16))
BATCH_BEGIN, BATCH_END = 0x10, 0x11
COMPAT_GET = 11 << 8  # NFNL_SUBSYS_NFT_COMPAT, NFNL_MSG_COMPAT_GET
COMPAT_TARGET = 1
F_APPEND = 0x800

_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_USE, _CHAIN_TYPE = 1, 3, 4, 5, 6, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS, _RULE_COMPAT = 1, 2, 3, 4, 5
_COMPAT_PROTOCOL, _COMPAT_FLAGS = 1, 2
_GENERATION = 1
_BATCH_GENERATION = 1
_LIST_ELEMENT = 1
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2

_HEAD = struct.Struct("=IHHIIBBH")  # nlmsghdr and nfgenmsg: ..., family, version, resource
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_BATCH_RESOURCE = socket.htons(10)  # NFNL_SUBSYS_NFTABLES


class Message(NamedTuple):
    """One message of a transaction; `what` says in errors what it was for."""

    kind: int
    flags: int
    family: int
    body: bytes
    what: str


class Chain(NamedTuple):
    """A chain as it is. `use` counts its rules and the jumps that lead to it."""

    name: str
    use: int


class Found(NamedTuple):
    """A rule as the kernel tells it. Taken apart only when it is wanted: there may be thousands."""

    payload: bytes

    @property
    def handle(self) -> int:
        """Its number in the table."""
        return int.from_bytes(wire.attributes(self.payload, 4).get(_RULE_HANDLE, b""), "big")

    @property
    def expressions(self) -> bytes:
        """For `nftables_rule.canonical` and `leads_to`."""
        return wire.attributes(self.payload, 4).get(_RULE_EXPRESSIONS, b"")


class Hook(NamedTuple):
    """Where a base chain sits: NF_INET_* number, priority, and the chain's type."""

    number: int
    priority: int
    kind: str


def pack(message: Message, sequence: int, flags: int = 0, resource: int = 0) -> bytes:
    """The message as it is sent."""
    kind, own, family, body, _ = message
    length = _HEAD.size + len(body)
    return _HEAD.pack(length, kind, wire.F_REQUEST | own | flags, sequence, 0, family, 0, resource) + body


def begin(generation: int, sequence: int) -> bytes:
    """The start of a transaction that must meet the rules as they were at `generation`."""
    body = number(_BATCH_GENERATION, generation)
    return pack(Message(BATCH_BEGIN, 0, 0, body, ""), sequence, resource=_BATCH_RESOURCE)


def end(sequence: int) -> bytes:
    """The end of a transaction."""
    return pack(Message(BATCH_END, 0, 0, b"", ""), sequence, resource=_BATCH_RESOURCE)


def number(kind: int, value: int) -> bytes:
    """An attribute that holds 32 bits; negative numbers in two's complement."""
    return attribute(kind, _U32.pack(value & 0xFFFFFFFF))


def nested(kind: int, value: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, value)


def new_table(family: int, table: str) -> Message:
    """Make a table unless it is there."""
    return Message(NEWTABLE, wire.F_CREATE, family, attribute_text(_TABLE_NAME, table), f"create the table {table}")


def new_chain(family: int, table: str, chain: str, hook: Hook | None = None) -> Message:
    """Make a chain; fails with EEXIST. With `hook` it is a base chain that accepts, and may be there already."""
    body = attribute_text(_CHAIN_TABLE, table) + attribute_text(_CHAIN_NAME, chain)
    flags = wire.F_CREATE
    if hook is None:
        flags |= wire.F_EXCL
    else:
        place = number(_HOOK_NUMBER, hook.number) + number(_HOOK_PRIORITY, hook.priority)
        body += nested(_CHAIN_HOOK, place) + number(_CHAIN_POLICY, 1) + attribute_text(_CHAIN_TYPE, hook.kind)
    return Message(NEWCHAIN, flags, family, body, f"create the chain {chain} in the table {table}")


def delete_chain(family: int, table: str, chain: str) -> list[Message]:
    """Empty a chain and remove it. Fails with EBUSY while a rule jumps to it."""
    what = f"remove the chain {chain} from the table {table}"
    rules = attribute_text(_RULE_TABLE, table) + attribute_text(_RULE_CHAIN, chain)
    body = attribute_text(_CHAIN_TABLE, table) + attribute_text(_CHAIN_NAME, chain)
    return [Message(DELRULE, 0, family, rules, what), Message(DELCHAIN, 0, family, body, what)]


def new_rule(
    family: int, table: str, chain: str, expressions: bytes, protocol: int = 0, *, first: bool = False
) -> Message:
    """Add a rule as the last, or the first, of a chain.

    `protocol` is the number of the layer-4 protocol that the rule matches: xtables extensions ask for it.
    """
    body = attribute_text(_RULE_TABLE, table) + attribute_text(_RULE_CHAIN, chain)
    body += nested(_RULE_EXPRESSIONS, expressions)
    body += nested(_RULE_COMPAT, number(_COMPAT_PROTOCOL, protocol) + number(_COMPAT_FLAGS, 0))
    flags = wire.F_CREATE | (0 if first else F_APPEND)
    return Message(NEWRULE, flags, family, body, f"add a rule to the chain {chain} of the table {table}")


def delete_rule(family: int, table: str, chain: str, handle: int) -> Message:
    """Remove one rule."""
    body = attribute_text(_RULE_TABLE, table) + attribute_text(_RULE_CHAIN, chain)
    body += attribute(_RULE_HANDLE, _U64.pack(handle))
    return Message(DELRULE, 0, family, body, f"remove a rule from the chain {chain} of the table {table}")


def get_generation() -> Message:
    """Answered with the generation."""
    return Message(GETGEN, 0, 0, b"", "read the generation of the rules")


def get_chain(family: int, table: str, chain: str) -> Message:
    """Answered with one chain; fails with ENOENT."""
    body = attribute_text(_CHAIN_TABLE, table) + attribute_text(_CHAIN_NAME, chain)
    return Message(GETCHAIN, 0, family, body, f"look up the chain {chain} in the table {table}")


def get_rules(family: int, table: str, chain: str) -> Message:
    """Answered with the rules of one chain, none when there is no such chain."""
    body = attribute_text(_RULE_TABLE, table) + attribute_text(_RULE_CHAIN, chain)
    return Message(GETRULE, wire.F_DUMP, family, body, f"list the chain {chain} of the table {table}")


def get_target(family: int, name: str, revision: int) -> Message:
    """Answered when the kernel can use this target of xtables in nf_tables rules."""
    body = attribute_text(1, name) + number(2, revision) + number(3, COMPAT_TARGET)
    return Message(COMPAT_GET, wire.F_ACK, family, body, f"look up the target {name}")


def expression(name: str, data: bytes) -> bytes:
    """One expression of a rule."""
    return nested(_LIST_ELEMENT, attribute_text(_EXPRESSION_NAME, name) + nested(_EXPRESSION_DATA, data))


def each(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """(kind, marked as nested, value) of the attributes, in order."""
    at = 0
    while at + wire.ATTR.size <= len(data):
        length, kind = wire.ATTR.unpack_from(data, at)
        if length < wire.ATTR.size:
            return
        yield kind & 0x3FFF, bool(kind & NLA_F_NESTED), data[at + wire.ATTR.size : at + length]
        at += (length + 3) & ~3


def expressions(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, data) of the expressions of a rule."""
    for _, _, element in each(data):
        found = wire.attributes(element)
        yield wire.text(found.get(_EXPRESSION_NAME, b"")), found.get(_EXPRESSION_DATA, b"")


def generation(payload: bytes) -> int:
    """The answer to `get_generation`."""
    value = wire.attributes(payload, 4).get(_GENERATION, b"")
    return int.from_bytes(value, "big")


def chain(payload: bytes) -> Chain:
    """The answer to `get_chain`."""
    found = wire.attributes(payload, 4)
    return Chain(wire.text(found.get(_CHAIN_NAME, b"")), int.from_bytes(found.get(_CHAIN_USE, b""), "big"))
