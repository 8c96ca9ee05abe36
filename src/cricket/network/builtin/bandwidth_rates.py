"""Rates and bursts as the bandwidth plugin takes them, and the token buckets that it makes of them."""

from __future__ import annotations

import msgspec

from cricket.kernel.netlink_tc import Bucket
from cricket.network.builtin.base import Refused

_MAX_32 = (1 << 32) - 1
_LATENCY = 0.025  # seconds that a packet may wait


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bits per second and bits; 0 for no limit. Ingress is what the pod receives."""

    ingressRate: int = 0
    ingressBurst: int = 0
    egressRate: int = 0
    egressBurst: int = 0

    def check(self) -> None:
        """Raises Refused for what the plugin refuses."""
        for rate, burst in ((self.ingressRate, self.ingressBurst), (self.egressRate, self.egressBurst)):
            if min(rate, burst) < 0 or max(rate, burst) >= 1 << 64:
                raise Refused("rates and bursts must be numbers of 64 bits")
            if bool(rate) != bool(burst):
                raise Refused("a rate needs a burst, and a burst needs a rate")
            if burst // 8 >= _MAX_32:
                raise Refused("a burst cannot be of more than 4 GB")
            if 0 < rate < 8:
                raise Refused("a rate must be of at least 8 bit/s")


def bucket(rate: int, burst: int, ticks_per_microsecond: float) -> Bucket:
    """The token bucket for a rate in bit/s and a burst in bits, rounded as the plugin does.

    The kernel's fields have 32 bits; where the plugin's numbers run over, these do too.
    """
    per_second, burst_bytes = rate // 8, burst // 8
    microseconds = int(burst_bytes * 1e6 / per_second) & _MAX_32
    waiting = int(per_second * (1e6 * (25 / 1000)) / 1e6)
    return Bucket(per_second, (waiting + burst_bytes) & _MAX_32, int(microseconds * ticks_per_microsecond) & _MAX_32)
