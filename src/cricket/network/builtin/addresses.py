"""IP addresses as packed bytes, 4 or 16 of them."""

from __future__ import annotations

import socket
from typing import NamedTuple

from cricket.network.builtin.base import Refused
from cricket.network.result import Json

_MAPPED = bytes(10) + b"\xff\xff"


def pack(text: object) -> bytes:
    """An address; IPv4 in IPv6 clothes becomes IPv4, as in the standard plugins. Raises Refused."""
    if isinstance(text, str):
        try:
            value = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        except OSError:
            pass
        else:
            return value[12:] if value.startswith(_MAPPED) and len(value) == 16 else value
    raise Refused(f"{str(text)[:80]!r} is not an IP address")


def unpack(value: bytes) -> str:
    """The canonical text (RFC 5952), which is also the name of host-local's file."""
    if len(value) == 16 and value[:12] == bytes(12) and value[12:14] != bytes(2):
        return f"::{int.from_bytes(value[12:14], 'big'):x}:{int.from_bytes(value[14:], 'big'):x}"  # libc: "::1.2.3.4"
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


class Cidr(NamedTuple):
    """An address with the length of its subnet's prefix."""

    address: bytes
    prefix: int

    @property
    def bits(self) -> int:
        """32 or 128."""
        return len(self.address) * 8

    @property
    def subnet(self) -> Cidr:
        """The same with all host bits zero."""
        host = (1 << (self.bits - self.prefix)) - 1
        value = int.from_bytes(self.address, "big") & ~host
        return Cidr(value.to_bytes(len(self.address), "big"), self.prefix)

    def holds(self, address: bytes) -> bool:
        """Whether an address is in the subnet."""
        return len(address) == len(self.address) and Cidr(address, self.prefix).subnet == self.subnet

    def __str__(self) -> str:
        return f"{unpack(self.address)}/{self.prefix}"


def parse_cidr(text: object) -> Cidr:
    """ "10.1.0.5/16". Raises Refused."""
    address, slash, prefix = text.partition("/") if isinstance(text, str) else ("", "", "")
    if slash and prefix.isascii() and prefix.isdigit() and len(prefix) < 4:
        value = pack(address)
        length = int(prefix) - (96 if len(value) == 4 and ":" in address else 0)
        if 0 <= length <= len(value) * 8:
            return Cidr(value, length)
    raise Refused(f"{str(text)[:80]!r} is not an address with a prefix length")


def following(address: bytes) -> bytes:
    """The next address; the one after the last is the first."""
    size = len(address)
    return ((int.from_bytes(address, "big") + 1) % (1 << size * 8)).to_bytes(size, "big")


def is_loopback(address: bytes) -> bool:
    """127.0.0.0/8 and ::1."""
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\1"


def is_global_unicast(address: bytes) -> bool:
    """What may be seen outside its link: not the unspecified, broadcast, loopback, multicast and link-local ones."""
    if is_loopback(address) or not any(address):
        return False
    if len(address) == 4:
        return address != b"\xff\xff\xff\xff" and address[0] & 0xF0 != 0xE0 and address[:2] != b"\xa9\xfe"
    return address[0] != 0xFF and not (address[0] == 0xFE and address[1] & 0xC0 == 0x80)


class IpConf(NamedTuple):
    """An entry of a result's `ips`."""

    address: Cidr
    gateway: bytes = b""

    def to_json(self, interface: int | None = None) -> Json:
        """As it stands in a result; `interface` is an index of its `interfaces`."""
        out: Json = {} if interface is None else {"interface": interface}
        out["address"] = str(self.address)
        if self.gateway:
            out["gateway"] = unpack(self.gateway)
        return out
