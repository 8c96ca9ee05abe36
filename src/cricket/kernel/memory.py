"""Keeping the C allocator from holding on to memory that Python has given back."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_libc = ctypes.CDLL(None)


def tame_allocator() -> None:
    """One arena for all threads, and free memory goes back to the kernel early (mallopt(3)). Other libcs: nothing.

    By default glibc makes up to eight arenas per core; gRPC's threads would each fill one.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 128 << 10)
        mallopt(_M_TRIM_THRESHOLD, 256 << 10)
        mallopt(_M_TOP_PAD, 64 << 10)


def give_back() -> None:
    """Return free heap to the kernel now (malloc_trim(3)); a few milliseconds at most."""
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)
