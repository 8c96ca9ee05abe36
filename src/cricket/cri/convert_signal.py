"""CRI `Signal` values, signal names ("SIGRTMIN+3") and signal numbers."""

from __future__ import annotations

import signal

from cricket._proto.cri import api_pb2 as pb
from cricket.errors import InvalidArgument

_PREFIX = "SIGNAL_"
RTMIN, RTMAX = 34, 64
"""The real-time signals that a program may use; glibc keeps 32 and 33."""


def signal_name(value: int, field: str) -> str:
    """The name of a CRI value; "" for RUNTIME_DEFAULT. Raises InvalidArgument for an unknown value."""
    entry = pb.Signal.DESCRIPTOR.values_by_number.get(value)
    if entry is None:
        raise InvalidArgument(f"the field has the unknown value {value}", where=field)
    if value == pb.SIGNAL_RUNTIME_DEFAULT:
        return ""
    name: str = entry.name.removeprefix(_PREFIX)
    return name.replace("PLUS", "+").replace("MINUS", "-")


def signal_value(name: str) -> int:
    """The CRI value of a name, the reverse of `signal_name`; RUNTIME_DEFAULT for "" and for what CRI cannot say."""
    entry = pb.Signal.DESCRIPTOR.values_by_name.get(_PREFIX + name.replace("+", "PLUS").replace("-", "MINUS"))
    return entry.number if entry is not None and name else int(pb.SIGNAL_RUNTIME_DEFAULT)


def signal_value_of_number(number: int) -> int:
    """The CRI value of a signal number of this platform; RUNTIME_DEFAULT for 0 and for what CRI cannot say."""
    if RTMIN <= number <= RTMAX:
        # 34 to 49 count up from SIGRTMIN, 50 to 64 down from SIGRTMAX: the names that kill -l prints.
        offset, back = number - RTMIN, RTMAX - number
        if offset <= 15:
            return signal_value(f"SIGRTMIN+{offset}" if offset else "SIGRTMIN")
        return signal_value(f"SIGRTMAX-{back}" if back else "SIGRTMAX")
    try:
        return signal_value(signal.Signals(number).name)
    except ValueError:
        return int(pb.SIGNAL_RUNTIME_DEFAULT)
