"""Memory of this process, as the system sees it."""

import contextlib
import ctypes


def release_freed() -> None:
    """Give memory that was freed back to the system, where the C library keeps it.

    glibc keeps what lies below anything still in use: after weights were read, or a
    program compiled, as much as 100 MB. Does nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
