"""Keeps files open between reads, for random access."""

import contextlib
import functools
import threading
import weakref
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.sources import tree
from pipeline.storage import beam_files


@contextlib.contextmanager
def borrow(path: str) -> Iterator[BinaryIO]:
    """Lends an open file to one thread of this process, at any position.

    A local file that was replaced is opened anew.
    """
    version = tree.version(path) if beam_files.is_local(path) else ""
    opened = _opened(path, version)
    with opened.lock:
        yield opened.file


class _Opened:
    def __init__(self, path: str):
        self.file = beam_files.open(path)
        self.lock = threading.Lock()
        weakref.finalize(self, self.file.close)


@functools.lru_cache(maxsize=16)
def _opened(path: str, version: str) -> _Opened:
    return _Opened(path)
