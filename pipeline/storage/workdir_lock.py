"""Lets one process at a time write the results of a working directory.

The kernel gives the lock back when the process ends, however it does.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import shlex
import socket
import sys
from collections.abc import Iterator

from absl import logging

FILE = ".lock"
_MAX_BYTES = 2**14
# File systems that have no locks: a mounted bucket, some networks.
_WITHOUT = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def held(root: pathlib.Path) -> Iterator[None]:
    """Holds a working directory, which is made if it is not there.

    Raises:
        ValueError: If another process holds it, which the message names; or if
            it is no directory that can be written.
    """
    descriptor = _opened(root)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                "`workdir` must be one that no other process is writing. "
                f"Received: {root}, held by {_holder(descriptor)}"
            ) from None
        except OSError as error:
            if error.errno not in _WITHOUT:
                raise
            logging.warning("%s cannot be locked: %s", root, error)
        _write(descriptor, _oneself())
        try:
            yield
        finally:
            _write(descriptor, "")
    finally:
        os.close(descriptor)


def _opened(root: pathlib.Path) -> int:
    try:
        root.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(root / FILE, flags, 0o644)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            "`workdir` must be a directory, or a path where one can be made. "
            f"Received: {root} ({error.strerror})"
        ) from error
    except OSError as error:
        raise ValueError(
            "`workdir` must be a directory that can be written. "
            f"Received: {root} ({error.strerror})"
        ) from error


def _oneself() -> str:
    program, *arguments = sys.argv or ["python"]
    now = datetime.datetime.now().astimezone()
    return json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now.isoformat(timespec="seconds"),
            "command": shlex.join([os.path.basename(program), *arguments]),
        }
    )


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode()[:_MAX_BYTES], 0)


def _holder(descriptor: int) -> str:
    """Says who holds the lock, by what that process wrote."""
    try:
        said = json.loads(os.pread(descriptor, _MAX_BYTES, 0))
        return (
            f"process {said['pid']} on {said['host']} since {said['since']}: "
            f"{said['command']}"
        )
    except (ValueError, KeyError, TypeError):  # It is about to write it.
        return "another process"
