"""Removing a link without waiting for the kernel to free its memory.

RTM_DELLINK answers after rcu_barrier(), 10 to 40 ms after the link is gone for everybody. The kernel announces the very
moment (RTM_DELLINK to RTMGRP_LINK) when it has taken the link out of its namespace and off its bridge and has flushed
its addresses and routes; nothing can be seen of it from then on. So a thread of its own sits out the rest.
"""

from __future__ import annotations

import threading

from cricket.errors import Internal, NotFound
from cricket.kernel import netlink_requests as requests
from cricket.kernel import netlink_wire as wire
from cricket.kernel.netlink import Netlink

_RTMGRP_LINK = 1


def remove_link(ifindex: int) -> None:
    """Remove a link of the calling thread's network namespace (and its other end, for a pair).

    Returns when it is gone. Idempotent: a missing one is no error. Raises CricketError kinds.
    """
    with Netlink(_RTMGRP_LINK) as listener:
        removal = _Removal(ifindex)
        removal.start()
        while not removal.done.is_set():
            try:
                for kind, payload in listener.notifications():
                    if kind == wire.RTM_DELLINK and wire.LINK.unpack_from(payload)[2] == ifindex and payload[0] == 0:
                        return
            except Internal:  # so many links change at once that messages were lost
                removal.done.wait()
    if removal.failure is not None:
        raise removal.failure


class _Removal(threading.Thread):
    def __init__(self, ifindex: int) -> None:
        super().__init__(name="remove link", daemon=True)
        self.done, self.failure = threading.Event(), None  # type: tuple[threading.Event, BaseException | None]
        self._ifindex = ifindex
        self._netlink = Netlink()  # made here, in the caller's namespace

    def run(self) -> None:
        try:
            with self._netlink:
                self._netlink.batch([requests.delete_link(ifindex=self._ifindex)])
        except NotFound:
            pass
        except BaseException as e:  # handed over to the caller, whatever it is
            self.failure = e
        finally:
            self.done.set()
