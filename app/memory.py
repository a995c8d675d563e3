"""Keep the memory of frames from piling up in the C library's heaps."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MAPPED = 32 * 2**20
"""Blocks from this size on are mapped one by one (glibc's largest value)."""
_TRIMMED = 64 * 2**20
"""Free memory at the end of the heap goes back to the system from this size on."""


def share_one_heap() -> None:
    """Tell glibc to use one heap for all threads; elsewhere this does nothing.

    By default each thread has heaps of its own, in which freed frames and tensors of megabytes
    are scattered by small blocks: with decoders, encoders and models in many threads the resident
    set of a 1080p run grows for minutes. One heap is also a little faster here than many. For the
    start of a process: a library should leave its host's allocator alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED)
        mallopt(_M_TRIM_THRESHOLD, _TRIMMED)


def give_back_memory() -> None:
    """Hand free memory back to the system, as between two passes; elsewhere than glibc nothing."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
