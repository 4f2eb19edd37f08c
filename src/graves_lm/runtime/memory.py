"""Keep freed memory: the C library hands large blocks back to the kernel, and every fresh page then faults.

A training step frees and asks for the same few hundred megabytes each time. glibc maps each block above
its threshold (at most 32 MiB) anew and unmaps it when freed, so each step would pay a page fault per
4 KiB again; without mappings, and without trimming the heap, the blocks stay with the process.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_large_blocks() -> None:
    """Serve all blocks of this process from a heap that does not shrink (glibc); elsewhere do nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_free_memory() -> None:
    """Hand what such a heap holds unused back to the kernel (glibc); elsewhere do nothing.

    Lines of all lengths leave gaps of all sizes, and the heap would grow to several times what is in use.
    """
    if not sys.platform.startswith("linux"):
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
