"""Keep freed memory: the C library hands large blocks back to the kernel, and every fresh page then faults.

A training step frees and asks for the same few hundred megabytes each time. glibc serves blocks above
32 MiB by mmap whatever it learns, so each step pays a page fault per 4 KiB again; raising the two limits
keeps the blocks in the heap. benchmarks/lstm.py measures with it on.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_ONE_GIB = 1 << 30


def keep_large_blocks() -> None:
    """Raise glibc's mmap and trim thresholds to 1 GiB for this process; elsewhere do nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _ONE_GIB)
        mallopt(_M_TRIM_THRESHOLD, _ONE_GIB)
