"""The C library's memory: kept for the next frame instead of being given back and fetched anew."""

from __future__ import annotations

import ctypes
import functools
import os

# Of glibc's malloc.h, for mallopt; their values are bytes.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3

_MIB = 2**20


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 256 MiB of freed memory per arena; whether the C library can be told, glibc can.

    Each frame takes and frees several MiB, in every thread. With its own thresholds glibc gives much of that back to
    the system, whose pages are cleared and mapped again for the next frame: a fifth of the CPU time at 1920x1080.
    Environment variables that say otherwise (``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_TOP_PAD_``,
    ``MALLOC_MMAP_THRESHOLD_``) stay in force.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):
        return False  # musl, macOS and Windows have no such function
    wanted = {
        "MALLOC_MMAP_THRESHOLD_": (_M_MMAP_THRESHOLD, 32 * _MIB),  # the most that glibc allows
        "MALLOC_TRIM_THRESHOLD_": (_M_TRIM_THRESHOLD, 256 * _MIB),
        "MALLOC_TOP_PAD_": (_M_TOP_PAD, 64 * _MIB),  # the size of a thread's heap, which else goes when it is empty
    }
    told = [mallopt(*values) for name, values in wanted.items() if name not in os.environ]
    return all(told)
