"""Keeps memory with the process between training steps."""

import ctypes

# Parameters of mallopt(3), from malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Tells glibc's malloc to keep freed memory; elsewhere does nothing.

    TensorFlow on a CPU allocates and frees each step's activations. By default
    malloc hands large blocks back to the system at once, and most of a step
    goes into getting them again, page by page.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # Not glibc.
        return
    mallopt(_MMAP_THRESHOLD, 1 << 30)
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_TOP_PAD, 1 << 26)
