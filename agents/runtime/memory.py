"""Memory that was freed goes back to the system.

A round works with several times what a project keeps, for a moment. glibc keeps much of it for later, the more the
larger the arrays were that have been freed before (malloc's dynamic mmap threshold): tens of megabytes for ever.
"""

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Have the allocator return what it does not need, in some 2 ms; others than glibc's see to it by themselves."""
    if _malloc_trim is not None:
        _malloc_trim(0)
