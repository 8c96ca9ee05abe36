"""host-local's ranges: what they are, and in which order addresses are tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from cricket.network.builtin.addresses import Cidr, pack, parse_cidr, unpack
from cricket.network.builtin.base import Refused


class RangeConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range as it is written."""

    subnet: str = ""
    rangeStart: str = ""
    rangeEnd: str = ""
    gateway: str = ""


class Range(NamedTuple):
    """Addresses from `first` to `last` of one subnet, as numbers; `gateway` is never given out."""

    subnet: Cidr
    first: int
    last: int
    gateway: int

    @property
    def size(self) -> int:
        """Bytes of an address."""
        return len(self.subnet.address)

    def holds(self, address: bytes) -> bool:
        """Whether the address may be given out from here (or is the gateway)."""
        return len(address) == self.size and self.first <= int.from_bytes(address, "big") <= self.last

    def overlaps(self, other: Range) -> bool:
        """Whether an address is in both."""
        return self.size == other.size and self.first <= other.last and other.first <= self.last

    def cidr(self, number: int) -> Cidr:
        """An address of it with the subnet's prefix length."""
        return Cidr(number.to_bytes(self.size, "big"), self.subnet.prefix)

    def __str__(self) -> str:
        return "-".join(unpack(n.to_bytes(self.size, "big")) for n in (self.first, self.last))


RangeSet = tuple[Range, ...]


def range_sets(sets: Sequence[Sequence[RangeConf]]) -> tuple[RangeSet, ...]:
    """Checked and filled in: the first address by default is the one after the subnet's, the last the one before
    IPv4's broadcast address, the gateway the first. Raises Refused.
    """
    if not sets:
        raise Refused("the ipam section has no ranges")
    found: list[RangeSet] = []
    for number, written in enumerate(sets):
        try:
            found.append(_range_set(written))
        except Refused as e:
            raise Refused(f"the range set {number} is invalid: {e.msg}") from e
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            if any(a.overlaps(b) for a in one for b in other):
                raise Refused(f"the range sets {j} and {i} overlap")
    return tuple(found)


def _range_set(written: Sequence[RangeConf]) -> RangeSet:
    if not written:
        raise Refused("it is empty")
    ranges = tuple(_range(w) for w in written)
    if len({r.size for r in ranges}) > 1:
        raise Refused("it mixes IPv4 and IPv6")
    for i, one in enumerate(ranges):
        for other in ranges[:i]:
            if one.overlaps(other):
                raise Refused(f"{other} and {one} overlap")
    return ranges


def _range(written: RangeConf) -> Range:
    subnet = parse_cidr(written.subnet)
    if subnet.prefix > subnet.bits - 2:
        raise Refused(f"the subnet {subnet} is too small")
    if subnet != subnet.subnet:
        raise Refused(f"{subnet} has host bits set; the subnet is {subnet.subnet}")
    start = int.from_bytes(subnet.address, "big")
    top = start + (1 << (subnet.bits - subnet.prefix)) - 1
    end = top - 1 if subnet.bits == 32 else top
    first = _number(written.rangeStart, start + 1)
    last = _number(written.rangeEnd, end)
    for name, text, value in (("rangeStart", written.rangeStart, first), ("rangeEnd", written.rangeEnd, last)):
        if text and not (len(pack(text)) * 8 == subnet.bits and start <= value <= top):
            raise Refused(f"{name} {text} is not in {subnet}")
    if first > last:
        raise Refused(f"rangeStart {written.rangeStart} is after rangeEnd {written.rangeEnd}")
    return Range(subnet, first, last, _number(written.gateway, start + 1))


def _number(text: str, default: int) -> int:
    return int.from_bytes(pack(text), "big") if text else default


def range_of(ranges: RangeSet, address: bytes) -> Range | None:
    """The range that holds an address."""
    return next((r for r in ranges if r.holds(address)), None)


def candidates(ranges: RangeSet, last: bytes | None) -> Iterator[tuple[Range, int]]:
    """Every address but gateways once, beginning after `last`, the one given out before (from the first without it).

    So an address that was released comes back only after all others: a pod that crashes again and again does not meet
    the traffic for its former self.
    """
    here = range_of(ranges, last) if last else None
    if here is None or last is None:
        start, begin = 0, ranges[0].first
    else:
        start, begin = ranges.index(here), int.from_bytes(last, "big") + 1
    for step in range(len(ranges) + 1):
        current = ranges[(start + step) % len(ranges)]
        low = begin if step == 0 else current.first
        high = begin - 1 if step == len(ranges) else current.last
        for number in range(low, high + 1):
            if number != current.gateway:
                yield current, number
