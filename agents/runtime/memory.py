"""Returns freed memory to the operating system.

For a moment a round uses several times the memory of its project. glibc keeps much of it for later use, and more of it
the larger the arrays that were freed before (malloc's dynamic mmap threshold): tens of megabytes, for good.
"""

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Make glibc return memory that it does not need, in about 2 ms; does nothing with other allocators."""
    if _malloc_trim is not None:
        _malloc_trim(0)
