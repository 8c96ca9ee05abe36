"""Counters of the streaming server, for the metrics endpoint."""

from __future__ import annotations


class Traffic:
    """Totals since the start, and the sessions that are open now, by kind ("exec", "attach", "portforward").

    `sent` and `received` count bytes of upgraded connections as they are on the wire (under TLS: inside it).
    `refused` counts requests answered with an error, `violations` connections closed because of hostile frames.
    """

    KINDS = ("exec", "attach", "portforward")

    def __init__(self) -> None:
        self.sent = self.received = self.refused = self.violations = 0
        self.open = dict.fromkeys(self.KINDS, 0)
        self.total = dict.fromkeys(self.KINDS, 0)
