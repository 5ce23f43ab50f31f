"""Memory that a training step frees is kept for the next step, in large pages.

A step on a CPU frees and asks again for the same gigabytes. Left alone, the C library gives large pieces back to the
kernel each time and receives them again zeroed, four kilobytes at a time; a third of a step can go into that.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory(reserve: int | None = None) -> bool:
    """Tell the C library to keep what is freed and the kernel to use large pages for it; False where neither is known.

    `reserve` is how many bytes of address space to lay out for that, by default three quarters of the memory that is
    available; they hold no memory until they are used. Memory use stays at its peak until the process ends. Works with
    glibc on Linux and changes nothing elsewhere, nor where `MALLOC_` variables or another allocator are in charge.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version") or not hasattr(library, "mallopt"):
        return False
    if not (library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, -1)):
        return False
    _lay_out(library, reserve if reserve is not None else 3 * available() // 4)
    return True


def available() -> int:
    """Bytes that can be had without swapping."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _lay_out(library: ctypes.CDLL, size: int) -> None:
    """Extend the heap by `size` bytes, give them back to the allocator, and ask for large pages under them."""
    library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = library.malloc(size)
    if not start:
        return
    page = 2 * 1024 * 1024
    aligned = -(-start // page) * page
    library.madvise(aligned, max(0, start + size - aligned), mmap.MADV_HUGEPAGE)
    library.free(start)
