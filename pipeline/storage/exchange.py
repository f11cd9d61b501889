"""Swaps two paths in one step, where the system can."""

import ctypes
import errno
import os

# Of Linux: paths are relative to the current directory; the flag of the call.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# Kernels and file systems that do not know the call answer with one of these.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def exchange(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Swaps two paths of one file system, so that neither is ever missing.

    Args:
        one: A file, a directory or a link; not the target of a link.
        other: Another path, which need not be of the same kind.

    Returns:
        Whether the paths were swapped. If not, nothing was done: the system or
        the file system cannot.

    Raises:
        OSError: The system can, but not with these paths.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if not renameat2(
        _AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE
    ):
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
